/* recipient: does this mailbox exist?  Asked at RCPT, so that mail for nobody
 * is refused in the dialogue instead of bounced to a forged sender.
 *
 * Answers come from tables alone (users/cdb, users/names.cdb,
 * users/mailbox/DOMAIN.cdb, the system's user table), never from a home
 * directory: what a client can ask about must not depend on files that users
 * own, and the tables hold no secrets.
 */
#ifndef RECIPIENT_H
#define RECIPIENT_H

#include <stddef.h>

enum {
	RECIPIENT_YES = 1,
	RECIPIENT_NO = 0,	/* 550 5.1.1 no such mailbox */
	RECIPIENT_DISABLED = 2,	/* 550 5.2.1 mailbox disabled */
	RECIPIENT_FULL = 3,	/* 452 4.2.2 over quota, */
	RECIPIENT_OVER = 5,	/* 552 5.2.2: control/overquota says which */
	RECIPIENT_FOREIGN = 4,	/* not a domain of ours: not for us to say */
	RECIPIENT_TROUBLE = -1	/* 451 4.3.0; errno */
};

/* An address as smtpaddress_parse gives it.  Home is the current directory. */
extern int recipient_check(char const *s, size_t n);

#endif
