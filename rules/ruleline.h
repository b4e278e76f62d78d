/* ruleline: one line of a file of access rules, as tcprules has them, with
 * the extensions of rules(5).
 *
 *	ADDRESS:allow|deny[,NAME="value"]...[ until TIME]
 *
 * ADDRESS is what rule.h looks up, or 10.1-3. (a range), or 10.0.0.0/20.
 */
#ifndef RULELINE_H
#define RULELINE_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

enum { RULELINE_MAX = 65536 };	/* a longer line is an error of its own */

struct ruleline {
	stralloc keys;		/* ADDRESS of each rule, NUL after each */
	stralloc data;		/* of the record, without "T" */
	uint64_t until;		/* 0: does not end */
	int family;		/* 4, 6: a key NETWORK/BITS; else 0 */
	unsigned int bits;
	char const *problem;	/* error or warning, 0: none */
};
#define RULELINE_ZERO { .keys = STRALLOC_ZERO, .data = STRALLOC_ZERO }

/* s[0..n): a line without its LF.  The struct may be used again.
 *  1  a rule; problem may be a warning
 *  0  nothing on this line
 * -1  problem says what is wrong with it; 0: out of memory
 */
extern int ruleline_parse(char const *s, size_t n, struct ruleline *out);

extern void ruleline_free(struct ruleline *r);

#endif
