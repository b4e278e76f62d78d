/* resend: the forwards of a delivery, as one message in the queue. */
#ifndef LOCAL_RESEND_H
#define LOCAL_RESEND_H

#include "local/delivery.h"

/* 1; -1 with d->outcome set: none of them is forwarded.  The home directory of
 * the suite is the current directory afterwards.
 */
extern int resend(struct delivery *d);

#endif
