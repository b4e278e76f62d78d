/* filename: a file name as different systems would take it.  Windows cuts
 * dots and blanks at its end and a stream behind a colon, some readers cut at
 * NUL, others take away a path or quotes: each of these names is reported, so
 * that a rule for an extension sees the one that counts.
 */
#ifndef FILENAME_H
#define FILENAME_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/walkout.h"

struct filename {
	uint32_t part;
	enum walk_source source;
	uint64_t size;		/* or WALK_UNKNOWN */
	char const *raw;	/* as it stands */
	size_t rn;
};

/* s: the name, decoded; bytes that are not UTF-8 count as Latin-1.  Empty
 * names are none.
 */
extern void filename_report(struct walkout *, struct filename const *,
    char const *s, size_t n);

/* Behind the last dot; n = 0 if there is none. */
extern char const *filename_extension(char const *s, size_t n, size_t *en);

/* Is the extension one of this list, words in small letters, each with a
 * blank behind it?
 */
extern int filename_is(char const *s, size_t n, char const *list);

/* One of an archive, or of a disk image? */
extern int filename_is_archive(char const *s, size_t n);

#endif
