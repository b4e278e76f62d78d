/* spf: may this client send in the name of that domain (RFC 7208)?  libspf2
 * reads the records; what DNS says comes through dmarc/ask.h.
 */
#ifndef SPF_H
#define SPF_H

#include "dmarc/facts.h"

/* Before any message comes.  1, -1. */
extern int spf_start(void);

/* Of the sender's domain; of HELO's, if the sender is empty. */
extern void spf_check(struct ask *a, struct facts const *f,
    struct findings *out);

#endif
