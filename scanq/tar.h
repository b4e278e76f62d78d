/* tar: the names in tar archives: ustar, GNU's long names, pax. */
#ifndef TAR_H
#define TAR_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/walkout.h"
#include "scanq/window.h"

struct tar {
	struct walkout *out;
	uint32_t part;
	int on;			/* 0: not known yet; 1; -1: no tar, or over */
	int any;		/* a header has been */
	uint64_t skip;		/* bytes of contents */
	uint64_t take;		/* bytes of a long name or of pax fields */
	char kind;		/* of these */
	size_t n;
	char name[WALK_NAME];
	struct window window;
};

extern void tar_start(struct tar *, struct walkout *, uint32_t part);
extern void tar_feed(struct tar *, char const *s, size_t n);
extern void tar_end(struct tar *);

#endif
