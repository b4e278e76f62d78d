/* look: the messages of the queue as queuectl sees them: read from their
 * files, chosen by what the administrator says.  The queue directory is open;
 * the home directory is the current one.
 */
#ifndef LOOK_H
#define LOOK_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/genalloc.h>
#include <skalibs/stralloc.h>

#include "lib/msgfile.h"

struct look {
	uint64_t id;
	struct msgfile file;
	stralloc env;
	char const *sender;	/* in env */
	size_t recipients;	/* that are not done */
	int held;
	int fd;			/* open for reading, until look_done */
};

/* What to choose: ids, or conditions that must all be fulfilled. */
struct choice {
	genalloc ids;		/* of uint64_t */
	int all;
	char const *from, *to, *domain; /* patterns of fnmatch(3); null: any */
	uint64_t older, newer;	/* seconds; 0: any */
	int held;
	char const *reason;	/* part of send's last report */
};

/* One word: "all", an id, "-" (ids from standard input), "from=", "to=",
 * "domain=", "older=", "newer=", "reason=", "held".  1; 0 it is none.
 */
extern int look_word(struct choice *c, char const *word);
/* Is anything chosen?  An order without a choice is a mistake. */
extern int look_chosen(struct choice const *c);

/* The queue directory.  1, -1. */
extern int look_start(void);
extern int look_queue(void);	/* its descriptor */

/* Ids of the messages to look at, into *ids; *dir as listing_read. 1, -1. */
extern int look_ids(struct choice const *c, genalloc *ids, char const **dir);

/* Opens and reads one.  1; 0 gone or damaged, *why says (null: gone); -1. */
extern int look_at(struct look *l, uint64_t id, char const **why);
extern void look_done(struct look *l);

/* Does it fit, but for the reason? */
extern int look_fits(struct choice const *c, struct look const *l);
/* Does a recipient fit "to" and "domain"? */
extern int look_fits_recipient(struct choice const *c, char const *address);

/* The next recipient that is not done, from *pos on; *at is its offset. */
extern char const *look_recipient(struct look const *l, size_t *pos,
    size_t *at);

/* Seconds, "5m", "2h", "3d".  1; 0 it is none. */
extern int look_seconds(char const *s, uint64_t *out);

#endif
