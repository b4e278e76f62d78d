/* zip: the names in zip archives, wherever they stand in a file: behind other
 * bytes, one archive behind another, without a central directory.  Every
 * signature counts, so that no reader finds an entry that we do not.
 *
 * Format: PKWARE's APPNOTE.TXT, 4.3 to 4.6.
 */
#ifndef ZIP_H
#define ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/walkout.h"
#include "scanq/window.h"

struct zip_names {
	uint64_t count;
	uint64_t sum;		/* of the hashes of all names */
};

struct zip {
	struct walkout *out;
	uint32_t part;
	uint64_t pos;		/* of what the window shows */
	struct zip_names local;
	struct zip_names central;
	uint64_t end;		/* behind the last end record */
	uint64_t base;		/* what is before the last archive */
	uint64_t before;	/* the end of the one before */
	int ends;		/* end records */
	struct window window;
};

extern void zip_start(struct zip *, struct walkout *, uint32_t part);
extern void zip_feed(struct zip *, char const *s, size_t n);
extern void zip_end(struct zip *);

/* Could these be a record's method and the length of its name?  A signature
 * by chance in 25 MB happens; one with the right bytes behind it does not.
 */
extern int zip_is_plausible(unsigned int method, size_t n);

#endif
