/* decode: transfer encodings as streams (RFC 2045 6.7 and 6.8), read as the
 * most lenient reader would.  What is wrong is remembered, never fatal.
 *
 * base64: bytes outside the alphabet are skipped; '-' and '_' count as '+'
 * and '/'; padding ends a group, and more may follow; padding where none can
 * be is skipped.
 */
#ifndef DECODE_H
#define DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/walk.h"

enum {	/* what was wrong: bits */
	DECODE_ILLEGAL = 1,
	DECODE_PADDING = 2,
	DECODE_URL = 4,
	DECODE_QUOTED = 8
};

struct decode {
	enum walk_encoding kind;
	void (*put)(void *ctx, char const *s, size_t n);
	void *ctx;
	int wrong;
	/* base64 */
	uint32_t bits;
	unsigned int have;	/* characters of the group */
	unsigned int pads;	/* '=' of the group */
	int ended;		/* a padded group has been */
	/* quoted-printable */
	int state;
	char hex;
	size_t blanks;
	size_t used;
	char out[WALK_PIECE];
};

extern void decode_start(struct decode *, enum walk_encoding,
    void (*put)(void *, char const *, size_t), void *ctx);
extern void decode_feed(struct decode *, char const *s, size_t n);
/* What is left goes out. */
extern void decode_end(struct decode *);

/* A short text at one stroke, as RFC 2047 words have it; out needs room for n
 * bytes.  The length.
 */
extern size_t decode_base64(char *out, char const *s, size_t n);

/* The value of a hexadecimal digit in either case, or -1. */
extern int decode_hex(int c);

#endif
