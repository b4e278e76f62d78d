/* mailbag: a Maildir of a virtual domain's user, with its quota and that of
 * the domain, the warning when it fills up, and the mark when it is full.
 */
#ifndef LOCAL_MAILBAG_H
#define LOCAL_MAILBAG_H

#include "local/delivery.h"

/* Delivers to the Maildir at path, for the user d->box; the user's directory
 * is the current one, and stays it.  A Maildir that is no part of that
 * directory has no quota.  1; -1 with d->outcome set.
 */
extern int mailbag_deliver(struct delivery *d, char const *path);

#endif
