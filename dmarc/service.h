/* service: dmarcd, as dmarcq sees it. */
#ifndef SERVICE_H
#define SERVICE_H

#include <sys/types.h>

#include "dmarc/facts.h"

/* Has the message checked that stands in file from at to end.
 *  1  *out
 *  0  nothing came, and *why says why; it is known after a dozen seconds
 */
extern int service_check(struct facts const *q, int file, off_t at, off_t end,
    struct findings *out, char const **why);

#endif
