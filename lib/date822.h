/* date822: the date of RFC 5322 3.3, always in UTC: a server's log and its
 * headers then agree, and no time zone file is read.
 *
 *	22 Nov 2026 13:52:01 -0000
 */
#ifndef DATE822_H
#define DATE822_H

#include <stddef.h>
#include <stdint.h>

enum { DATE822_LEN = 40 };	/* room that date822 needs */

/* Writes the date of t (seconds since 1970), without NUL; its length. */
extern size_t date822(char *out, uint64_t t);

#endif
