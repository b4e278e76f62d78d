/* archive: copies of mail for somebody who keeps it.
 *
 * control/archive has lines
 *
 *	[from:|to:]who:address
 *
 * who is an address, a domain, or "*"; every message that enters the queue
 * from (the reverse-path) or to such an address gets one more recipient:
 * address.
 */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include <skalibs/stralloc.h>

/* Are the lines (as control_list gives them) well formed?  1; 0 with *bad,
 * the one that is not.
 */
extern int archive_check(stralloc const *lines, char const **bad);

/* Appends "T" address NUL to *out for each address that the envelope s[0..n)
 * ("F" reverse-path NUL, "T" recipient NUL ...) asks for and has not yet.
 * How many; -1 out of memory.
 */
extern int archive_extra(stralloc const *lines, char const *s, size_t n,
    stralloc *out);

#endif
