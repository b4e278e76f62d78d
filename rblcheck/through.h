/* through: the real server, run behind us for the one recipient that a
 * listed client may write to.  It sees HELO, MAIL, RCPT, DATA and the message
 * and nothing else that the client says: no AUTH, no STARTTLS, no BDAT.
 */
#ifndef THROUGH_H
#define THROUGH_H

#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "lib/io.h"

struct through {
	pid_t pid;		/* 0: not running */
	unsigned int recipients;	/* that it took */
	unsigned int starts;
	io io;
};

/* Starts the server, unless it runs, and introduces the client: all replies
 * up to that to mail (a whole command) must be good.  1; 0: *reply is the bad
 * one, with its CRLFs; -1 the server is of no use.
 */
extern int through_open(struct through *t, char const *const *server,
    char const *helo, char const *mail, stralloc *reply);

/* Sends a line, fetches the reply, with its CRLFs.  1, -1. */
extern int through_command(struct through *t, char const *s, size_t n,
    stralloc *reply);

/* Copies a message from the client to the server, with the line that ends it,
 * within ten minutes, and fetches the reply.  1; 0 the client left; -1 the
 * server is of no use.
 */
extern int through_message(struct through *t, io *client, stralloc *reply);

extern void through_close(struct through *t);

#endif
