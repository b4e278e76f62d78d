/* spamdreply: what SpamAssassin's spamd, or rspamd in its place, answers to
 * CHECK, in its exact form:
 *
 *	SPAMD/1.1 0 EX_OK
 *	Spam: True ; 7.3 / 5.0
 *
 * Lines end in CR LF; others may stand between and behind these two.
 */
#ifndef SPAMDREPLY_H
#define SPAMDREPLY_H

#include <stddef.h>

struct spamdreply {
	int spam;		/* its own opinion */
	long score, threshold;	/* in hundredths */
};

/* 1; 0: no answer. */
extern int spamdreply(char const *s, size_t n, struct spamdreply *out);

/* "-7", "7.3", "12.345" and nothing else: hundredths, cut.  1, 0. */
extern int spamdreply_score(char const *s, size_t n, long *out);

#endif
