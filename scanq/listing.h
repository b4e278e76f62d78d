/* listing: the names in an archive, by libarchive, and in the archives that it
 * holds.  What holds one is told by its first bytes, or by its name alone
 * where those could only be had by unpacking much that is before (7z, cab,
 * rar).
 *
 * Of an archive whose names the walker sees for itself (zip, tar, rar) only
 * those in the archives inside are reported.  An archive inside that is too
 * deep or too large is an anomaly.
 */
#ifndef LISTING_H
#define LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/walkout.h"

enum {
	LISTING_LEVELS = 8,	/* inside one another, the first among them */
	LISTING_BYTES = 67108864, /* unpacked of all that are inside */
	LISTING_SOLID = 16777216, /* passed to get at first bytes */
	LISTING_ENTRIES = 20000	/* of all together */
};

/* Of s[0..n), which is this part, to out. */
extern void listing(struct walkout *out, uint32_t part, char const *s,
    size_t n);

#endif
