/* starttls: the command STARTTLS (RFC 3207). */
#ifndef STARTTLS_H
#define STARTTLS_H

#include "smtpd/argument.h"
#include "smtpd/dialogue.h"

/* Is it on offer, in the answer to EHLO?  1, 0. */
extern int starttls_offered(struct dialogue const *d);

/* 1 go on, 0 end the session, -1 trouble. */
extern int starttls_command(struct dialogue *d, struct argument const *a);

#endif
