/* macro: mends the text of an SPF record for libspf2.
 *
 * RFC 7208 7.3: "%{d2}" are the last two labels of the domain, all of them if
 * there are no more.  In that case libspf2 1.2.10 loses the first letter, and
 * asks about a name that nobody meant: so the number is taken out.
 */
#ifndef MACRO_H
#define MACRO_H

#include <stddef.h>

#include "dmarc/facts.h"

/* record[0..n), NUL behind it, of the domain; its new length. */
extern size_t macro_mend(char *record, size_t n, char const *domain,
    struct facts const *f);

#endif
