/* contents: what a file is and holds, from its decoded bytes as they come:
 * kind by magic, names in archives.  Reports its data and its end.
 */
#ifndef CONTENTS_H
#define CONTENTS_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/magic.h"
#include "scanq/rar.h"
#include "scanq/tar.h"
#include "scanq/walkout.h"
#include "scanq/zip.h"

enum { CONTENTS_TYPE = 80, CONTENTS_NAME = 256 };

/* What its header says of it. */
struct contents_label {
	size_t tn;
	char type[CONTENTS_TYPE];
	size_t n;
	char name[CONTENTS_NAME];
};

struct contents {
	struct walkout *out;
	uint32_t part;
	unsigned int alt;
	uint64_t size;
	unsigned int iso;	/* bytes of CD001 seen at its place */
	struct contents_label label;
	char head[MAGIC_HEAD];
	struct zip zip;
	struct tar tar;
	struct rar rar;
};

extern void contents_start(struct contents *, struct walkout *, uint32_t part,
    unsigned int alt, struct contents_label const *);
extern void contents_feed(struct contents *, char const *s, size_t n);
extern void contents_end(struct contents *);

#endif
