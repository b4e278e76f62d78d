/* guardblock: who is kept out, until when, and how.
 *
 *	client	"192.0.2.7:deny until TIME" in rules/NAME.blocked, which ends by
 *		itself, compiled together with rules/NAME
 *	sender	a line of badmailfrom
 *	user	the flag "no SMTP AUTH", by vmoduser
 *
 * guardblock_apply makes the files say what the list says.  It may be called
 * again after any failure.
 */
#ifndef GUARDBLOCK_H
#define GUARDBLOCK_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "tools/guardconf.h"

enum { GUARDBLOCK_MOST = 10000 };

struct guardblock {
	char *name;		/* a letter, u, c or s; then the name */
	uint64_t until;		/* seconds since 1970; 0: to be lifted */
	uint32_t count;		/* messages that led to it */
	int done;		/* it is in the files */
};

struct guardblocks {
	struct guardblock *block;
	size_t n;
};

extern struct guardblock *guardblock_get(struct guardblocks *b,
    char const *name);

/* Longer if it is there already.  1; 0 too many; -1 out of memory */
extern int guardblock_add(struct guardblocks *b, char const *name,
    uint64_t until, uint32_t count);

/* Can a block of this name be written down without meaning more than it?  0:
 * the reason.
 */
extern char const *guardblock_problem(struct guardconf const *c,
    char const *name);

/* Drops what has ended, writes the rest.  1; -1: something was not possible,
 * and has been told; the rest was done.
 */
extern int guardblock_apply(struct guardblocks *b, struct guardconf const *c,
    uint64_t now);

/* Lines "block NAME UNTIL COUNT DONE", and one back, as guardcount's. */
extern int guardblock_save(struct guardblocks const *b, stralloc *out);
extern int guardblock_load(struct guardblocks *b, char *s);

#endif
