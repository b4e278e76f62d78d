/* rar: the names in rar archives of formats 4 and 5, whether they are
 * encrypted, and whether a 7z archive is.  Nothing is decompressed.
 *
 * Formats: RARLAB's technote.txt; 7zFormat.txt of 7-Zip.
 */
#ifndef RAR_H
#define RAR_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/walkout.h"
#include "scanq/window.h"

enum rar_kind { RAR_UNKNOWN, RAR_NONE, RAR_4, RAR_5, RAR_7Z };

struct rar {
	struct walkout *out;
	uint32_t part;
	enum rar_kind kind;
	uint64_t skip;
	struct window window;
};

extern void rar_start(struct rar *, struct walkout *, uint32_t part);
extern void rar_feed(struct rar *, char const *s, size_t n);
extern void rar_end(struct rar *);

#endif
