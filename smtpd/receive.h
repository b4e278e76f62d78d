/* receive: the DATA command, from 354 to the final reply. */
#ifndef RECEIVE_H
#define RECEIVE_H

#include "smtpd/dialogue.h"

/* The transaction has recipients.  1 go on, 0 end the session, -1. */
extern int receive_message(struct dialogue *d);

#endif
