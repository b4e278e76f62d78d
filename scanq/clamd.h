/* clamd: the virus scanner, over its socket.
 *
 * Servers are tried in order.  On a unix socket the file is passed as a
 * descriptor (FILDES), and where clamd will not read it so, as a stream
 * (INSTREAM); by TCP always as a stream.  One connection an object: within
 * clamd's sessions answers can mix.
 */
#ifndef CLAMD_H
#define CLAMD_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "scanq/clamdreply.h"
#include "scanq/talk.h"

enum {
	CLAMD_SERVERS = 8,
	CLAMD_REPLY = 4096	/* bytes of an answer */
};

struct clamd_server {
	struct talk_server at;
	int no_fildes;		/* it has refused a descriptor */
};

struct clamd {
	struct clamd_server server[CLAMD_SERVERS];
	size_t servers;
	size_t current;		/* the one that answers */
	size_t version_of;	/* the one that was asked for its version, */
	int version_fd;		/* and where, or -1 */
	struct talk talk;
};

/* list: entries with NUL behind each (control_list): a path, or
 * address:port.  The strings are kept.  1; 0: an entry is none of both, or
 * there are too many; *bad names it.
 */
extern int clamd_servers(struct clamd *c, stralloc const *list,
    char const **bad);

/* Scans the file behind fd, which must be open for reading alone: clamd calls
 * a file clean that it cannot read.  data[0..n) is what it holds.
 * CLAMD_FOUND: name gets the signature, printable.  CLAMD_UNKNOWN: see talk.
 */
extern enum clamd_verdict clamd_scan(struct clamd *c, int fd,
    char const *data, size_t n, stralloc *name);

/* "ClamAV 1.4.6/27123/Sun Nov 22 08:00:00 2026", of the server that answers.
 * 1; 0 no such answer.
 */
extern int clamd_version(struct clamd *c, stralloc *out);

#endif
