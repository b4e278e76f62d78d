/* virtual: the mailboxes of a virtual domain, whose .qmail-default says
 * "| .../vdelivermail '' WORD".  What vpopmail's program of that name does is
 * done here, without a shell or another program.
 */
#ifndef LOCAL_VIRTUAL_H
#define LOCAL_VIRTUAL_H

#include "local/delivery.h"

/* The recipient is d->ext at the domain d->user, whose directory is the
 * current one.  Names that are not in the domain's table go where word says.
 * 1; 0 a command said that this is enough; -1 with d->outcome set.
 */
extern int virtual_deliver(struct delivery *d, char const *word, size_t n);

#endif
