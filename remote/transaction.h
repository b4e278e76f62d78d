/* transaction: one message to a server that is ready, MAIL to the last dot
 * (RFC 5321 3.3, RFC 2920, 1870, 6152).
 */
#ifndef REMOTE_TRANSACTION_H
#define REMOTE_TRANSACTION_H

#include "remote/content.h"
#include "remote/report.h"
#include "remote/server.h"

struct mail {
	char const *sender;	/* "" none; "#@[]" goes out as none */
	struct content *content;
	unsigned int policy;	/* of its route */
	struct report *report;	/* its recipients, and what becomes of them */
	int begun;		/* some of it was sent */
};

/* The report says what became of it.
 *  1  the server is ready for more
 *  0  hang up
 * -1  hang up; the message has not been sent to its end: another host, or
 *     another connection to this one, may do
 */
extern int transaction(struct server *s, struct mail *m);

#endif
