/* dkim: a message's signatures (RFC 6376), which libopendkim checks. */
#ifndef DKIM_VERIFY_H
#define DKIM_VERIFY_H

#include "dmarc/facts.h"

/* Before any message comes: what the library opens and reads once.  1, -1. */
extern int dkim_start(void);

/* Reads the message from fd, as far as is needed, until a->until.  1; -1 it
 * did not come whole, or the library failed: then what is in *out is not all.
 */
extern int dkim_check(struct ask *a, int fd, struct findings *out);

#endif
