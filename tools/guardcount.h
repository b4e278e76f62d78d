/* guardcount: how many messages each user, client or sender has brought in
 * the last so many seconds, in bounded memory.
 *
 * A window of time slides in GUARDCOUNT_PARTS steps, and is up to one of them
 * longer than asked for.  When the table is full,
 * names whose window is empty leave, then those that count least.
 */
#ifndef GUARDCOUNT_H
#define GUARDCOUNT_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "tools/tally.h"

enum { GUARDCOUNT_PARTS = 20, GUARDCOUNT_NAMES = 65536 };

struct guardcount_name {
	uint64_t newest;	/* number of the latest part */
	uint32_t part[GUARDCOUNT_PARTS];
	uint32_t level;		/* the caller's; 0 once the window is empty */
};

struct guardcount {
	struct tally names;	/* a letter for its kind, then the name */
	uint64_t unit;		/* microseconds of a part */
};

/* window: seconds.  1, -1 out of memory */
extern int guardcount_init(struct guardcount *c, unsigned int window);

/* One more at that time.  What is known of the name, with *sum in its window;
 * 0 if it is older than the window, or out of memory.
 */
extern struct guardcount_name *guardcount_add(struct guardcount *c,
    char const *name, uint64_t us, uint32_t *sum);

extern struct guardcount_name *guardcount_get(struct guardcount *c,
    char const *name);

/* Lines "key NAME NEWEST LEVEL COUNTS...", of names that still count at that
 * time; and one such line back, its first word taken away.  1, 0 malformed,
 * -1 out of memory.
 */
extern int guardcount_save(struct guardcount const *c, uint64_t now,
    stralloc *out);
extern int guardcount_load(struct guardcount *c, char *s, uint64_t now);

#endif
