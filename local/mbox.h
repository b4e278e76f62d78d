/* mbox: append the message to an mbox file: mboxrd(5), locked by flock(2). */
#ifndef LOCAL_MBOX_H
#define LOCAL_MBOX_H

#include "local/delivery.h"

/* 1, or -1 with d->outcome set, and then the file is as it was. */
extern int mbox_deliver(struct delivery *d, char const *file);

/* "From SENDER asctime\n", as mbox files and $UFLINE have it.  1, -1. */
extern int mbox_from_line(struct delivery const *d, stralloc *out);

#endif
