/* ownmail: mail that scanq itself writes: from nobody, so that it does not
 * bounce, through the program behind scanq, so that it is not scanned.
 */
#ifndef OWNMAIL_H
#define OWNMAIL_H

#include <skalibs/stralloc.h>

/* A setting that is an address, or else user@me, with NUL.  1, -1. */
extern int ownmail_address(stralloc *out, char const *file, char const *user);

/* Its envelope, for one address.  1, -1. */
extern int ownmail_envelope(stralloc *env, stralloc const *to);

/* Sends it.  0, else qmail-queue's exit code. */
extern int ownmail_send(stralloc const *text, stralloc const *env);

#endif
