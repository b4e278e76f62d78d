/* auth: the command AUTH (RFC 4954): PLAIN, LOGIN, CRAM-MD5.
 *
 * Passwords are taken if smtpd was given a program that checks them, and the
 * connection is encrypted or policy allows them in plain text.
 */
#ifndef AUTH_H
#define AUTH_H

#include "smtpd/argument.h"
#include "smtpd/dialogue.h"

enum { AUTH_FAILURES = 3 };	/* then the client is told to go */

/* The line for the answer to EHLO, without "250-".  1; 0: nothing is offered;
 * -1: controls.
 */
extern int auth_offer(struct dialogue *d, char const **line);

/* Must somebody log in, or encrypt, before MAIL?  1 with why; 0; -1. */
extern int auth_missing(struct dialogue *d, struct reply const **why);

/* 1 go on, 0 end the session, -1 trouble. */
extern int auth_command(struct dialogue *d, struct argument const *a);

#endif
