/* policy: DMARC (RFC 7489).  libopendmarc reads the record; libpsl says which
 * part of a name is the organization's.
 *
 * Whether two domains are aligned is decided here: libopendmarc takes a name
 * for aligned with any above it, "com" with "example.com", reads the list's
 * wildcards as something else, and keeps one signature of many.
 */
#ifndef POLICY_H
#define POLICY_H

#include "dmarc/facts.h"

/* Before any message comes: reads the list of public suffixes.  1, -1. */
extern int policy_start(void);

/* Behind spf_check and dkim_check: from their findings.  from is the domain of
 * the From field, or "".
 */
extern void policy_check(struct ask *a, char const *from,
    struct findings *out);

#endif
