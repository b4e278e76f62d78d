/* leaf: one reading of one part, from its encoded bytes to what is in it; and
 * the files inside it (uuencode in a text, winmail.dat).
 */
#ifndef LEAF_H
#define LEAF_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/contents.h"
#include "scanq/decode.h"
#include "scanq/tnef.h"
#include "scanq/uutext.h"
#include "scanq/walkout.h"

struct leaf {
	struct walkout *out;
	uint32_t part;
	unsigned int depth;	/* of the part */
	int text;		/* may hold uuencoded files */
	int cr;			/* a CR was its last byte */
	int bare;		/* a bare CR has been reported */
	int inside;		/* a file inside is open */
	struct inner inner;
	struct decode decode;
	struct contents contents;
	struct contents within;
	struct tnef tnef;
	struct uutext uutext;
	/* who else wants the decoded bytes, or 0 */
	void (*also)(void *ctx, char const *s, size_t n);
	void *ctx;
};

struct leaf_setup {
	struct walkout *out;
	uint32_t part;
	unsigned int alt;
	unsigned int depth;
	enum walk_encoding encoding;
	int text;
	struct contents_label const *label;
};

extern void leaf_open(struct leaf *, struct leaf_setup const *);
extern void leaf_feed(struct leaf *, char const *s, size_t n);
extern void leaf_close(struct leaf *);

#endif
