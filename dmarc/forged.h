/* forged: Authentication-Results fields of a message that comes in and bear
 * our own name: nobody but us may say that (RFC 8601 5.).
 *
 * The header is fed in pieces, whatever its length, in constant memory but for
 * the places that are found.
 */
#ifndef FORGED_H
#define FORGED_H

#include <stddef.h>
#include <sys/types.h>

#include <skalibs/genalloc.h>

enum { FORGED_KEPT = 1024 };	/* bytes of a field that are looked at */

/* What such a field becomes: a name of the same length. */
#define FORGED_NAME "Authentication-Results"
#define FORGED_NEW  "X-Authentication-Claim"

struct forged {
	char const *us;		/* authserv-id */
	size_t us_len;
	genalloc places;	/* of off_t: where these fields begin */
	off_t at;		/* bytes seen */
	off_t start;		/* of the field in buf */
	size_t used;
	size_t line;		/* bytes in this line, up to 2 */
	int over;		/* the header is */
	int cr;			/* this line is a CR so far */
	char buf[FORGED_KEPT];
};

extern void forged_begin(struct forged *f, char const *us, size_t n);

/* 1, -1 out of memory. */
extern int forged_feed(struct forged *f, char const *s, size_t n);
extern int forged_end(struct forged *f);

#endif
