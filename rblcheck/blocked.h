/* blocked: the conversation with a client that may not send mail, as
 * rblsmtpd holds it: every recipient is refused, with the reason.  If asked
 * to, it lets mail for the postmaster through to the real server.
 */
#ifndef BLOCKED_H
#define BLOCKED_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "lib/io.h"

enum {
	BLOCKED_TEXT = 200,	/* rblsmtpd's limit, and RFC 5321 4.5.3.1.5's
				 * less the codes */
	BLOCKED_LOG = 20	/* refused recipients logged, of a client */
};

struct blocked {
	char const *reply;	/* "451 text", without CRLF */
	/* the postmaster's way in, or null; see through.h */
	char const *const *server;
	/* what to call for each recipient refused, and once at the end if
	 * there was none; null strings: the client has not said */
	void (*refused)(struct blocked const *);
	/* the rest is blocked's own; C strings, or empty */
	stralloc helo, from, rcpt, mail;
	int mail_seen;
	unsigned int recipients;
};

/* Appends "451 " or "553 " and the text, cut, printable, without CRLF.  1, -1.
 */
extern int blocked_reply(stralloc *out, int bounce, char const *s, size_t n);

/* Appends a value of RBLSMTPD that says the same to the server: printable, not
 * empty, a hyphen in front if it is for good.  1, -1.
 */
extern int blocked_value(stralloc *out, int bounce, char const *s, size_t n);

/* The whole conversation, until the client leaves or the deadline of the io
 * passes.
 */
extern void blocked_session(io *client, struct blocked *b);

#endif
