/* answers: what the lists have said, and what follows from it.  No process
 * and no clock in here: lines of dnsq(1) go in, a verdict comes out.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "rblcheck/lists.h"

enum {
	ANSWER_PENDING, ANSWER_NOT, ANSWER_LISTED, ANSWER_TROUBLE,
	ANSWER_EMPTY		/* the name is there, without such a record */
};

struct answer {			/* of one list */
	int a, txt;		/* each one of the above */
	int error;		/* the code is one of LISTS_ERROR */
	char code[IPADDR_FMT];	/* the A record that decided, or "" */
	char why[32];		/* trouble: dnsq's word */
	uint64_t ms;		/* when it came, unless it is pending */
	stralloc text;		/* of the TXT record, as it came */
};

struct answers {
	struct lists const *lists;
	struct answer of[LISTS_MAX];
	int enough;		/* sum of weights that is a refusal */
	uint64_t ms;		/* since the lists were asked; the caller's */
};

/* Question 2i is the A record of list i, 2i+1 the TXT record. */

/* A line of dnsq, without its LF.  A line that is none is passed over. */
extern void answers_line(struct answers *a, char const *s, size_t n);

/* Whatever has not been answered by now will not be. */
extern void answers_close(struct answers *a, char const *why);

/* ANSWER_PENDING, NOT, LISTED or TROUBLE, of list i as a whole. */
extern int answers_state(struct answers const *a, unsigned int i);

struct verdict {
	int block;
	int bounce;		/* for good */
	unsigned int list;	/* the one that decided, if block */
	int lookup_error;	/* it decided because it gave no answer */
};

/* Goes through the lists in order, as rblsmtpd does: the first that decides
 * decides.  1; 0 not yet: an answer that may decide is missing.
 */
extern int answers_verdict(struct answers const *a, struct verdict *out);

/* The text for the client.  1, -1. */
extern int answers_text(struct answers const *a, struct verdict const *v,
    char const *ip, stralloc *out);

#endif
