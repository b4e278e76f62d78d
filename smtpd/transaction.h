/* transaction: the commands MAIL and RCPT: who may send to whom. */
#ifndef TRANSACTION_H
#define TRANSACTION_H

#include "smtpd/argument.h"
#include "smtpd/dialogue.h"

/* 1 go on, 0 end the session, -1 trouble. */
extern int transaction_mail(struct dialogue *d, struct argument const *a);
extern int transaction_rcpt(struct dialogue *d, struct argument const *a);

#endif
