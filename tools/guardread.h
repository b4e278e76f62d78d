/* guardread: what is new in a log, as records that have been checked.
 *
 * A log is read by a child that can do nothing but read the one open file and
 * write records of a fixed size.  It holds the foreign bytes; its parent sees
 * numbers, an address of 16 bytes, and short strings of printable ASCII.
 */
#ifndef GUARDREAD_H
#define GUARDREAD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipaddr.h"
#include "lib/role.h"
#include "tools/logfiles.h"

/* One message that came in. */
struct guardread_message {
	uint64_t us;		/* when; 0 unknown */
	uint64_t id;		/* tells one from another, no more */
	struct ipaddr ip;
	int has_ip;
	char user[136];		/* "": not authenticated */
	char from[256];		/* as the log has it; "" also for too long */
	char to[256];
	char session[48];
};

struct guardread {
	int qmail;		/* count "info msg" and simscan, not smtpd */
	struct role const *as;	/* who the child becomes, if we are root */
	void (*message)(void *ctx, struct guardread_message const *m);
	void *ctx;
};

/* From *place on; *place becomes where reading has stopped.  1; 0 no such
 * log; -1 with errno.  What the child did not survive is passed over, and a
 * warning says so.
 */
extern int guardread_log(struct guardread const *g, char const *path,
    struct logplace *place);

#endif
