/* notice: the text of a bounce: RFC 3464's multipart/report, whose first part
 * is qmail's QSBMF paragraph by paragraph (cr.yip.to/proto/qsbmf.txt), so that
 * programs that read either understand it.
 */
#ifndef NOTICE_H
#define NOTICE_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

struct notice {
	char const *host;	/* control/bouncehost: also the reporting MTA */
	char const *from;	/* control/bouncefrom */
	char const *to;		/* an address; whom it is for */
	char const *sender;	/* of the message that failed */
	int doubled;		/* that message was itself a bounce */
	uint64_t until;		/* not 0: a delay; when we shall give up */
	int headers_only;	/* what follows is cut behind its header */
	uint64_t now, arrival;	/* seconds since 1970 */
	char const *boundary;	/* letters, digits, dots */
	/* pairs of recipient NUL report NUL */
	char const *failures;
	size_t failures_len;
};

/* Appends all that stands before the copy of the message.  1, -1. */
extern int notice_head(struct notice const *n, stralloc *out);
/* And what stands behind it. */
extern int notice_tail(struct notice const *n, stralloc *out);

/* The status code in a report, "(#5.1.1)" or "5.1.1 " behind a reply code,
 * into out, which has room for 16 bytes; "5.0.0" where there is none.  class:
 * '5', a failure, or '4', a delay, whatever the report's own first digit.
 */
extern void notice_status(char const *report, char class, char *out);

#endif
