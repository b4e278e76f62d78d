#include "scanq/unzip.h"

#include <limits.h>
#include <string.h>

#include "scanq/bytes.h"
#include "scanq/zip.h"

enum {
	LOCAL = 30,		/* bytes of a header's fixed part */
	FLAG_ENCRYPTED = 1,
	FLAG_DESCRIPTOR = 8,	/* sizes are behind the data */
	STORED = 0,
	DEFLATED = 8
};

int
unzip_start(struct unzip *u, char const *s, size_t n)
{
	memset(u, 0, sizeof *u);
	u->s = s;
	u->n = n;
	return inflateInit2(&u->z, -MAX_WBITS) == Z_OK;
}

/* The header at p, with so many bytes behind it.  0: this is none. */
static int
use_header(struct unzip *u, char const *p, size_t n)
{
	unsigned int flags = (unsigned int)bytes_little(p + 6, 2);
	size_t size = (size_t)bytes_little(p + 18, 4), before;

	u->method = (unsigned int)bytes_little(p + 8, 2);
	u->nn = (size_t)bytes_little(p + 26, 2);
	before = LOCAL + u->nn + (size_t)bytes_little(p + 28, 2);
	if (!zip_is_plausible(u->method, u->nn) || before > n)
		return 0;
	u->name = p + LOCAL;
	u->encrypted = (flags & FLAG_ENCRYPTED) != 0;
	n -= before;
	u->left = flags & FLAG_DESCRIPTOR || size > n ? n : size;
	u->z.next_in = (Bytef *)(p + before);
	u->z.avail_in = n < UINT_MAX ? (uInt)n : UINT_MAX;
	return inflateReset(&u->z) == Z_OK;
}

int
unzip_next(struct unzip *u)
{
	char const *p;

	while ((p = memmem(u->s + u->at, u->n - u->at, "PK\3\4", 4))) {
		u->at = (size_t)(p - u->s) + 4;
		if (u->n - u->at < LOCAL - 4)
			return 0;
		if (use_header(u, p, u->n - u->at + 4))
			return 1;
	}
	return 0;
}

int
unzip_is_known(struct unzip const *u)
{
	return u->method == STORED || u->method == DEFLATED;
}

static ssize_t
read_stored(struct unzip *u, char *s, size_t n)
{
	if (n > u->left)
		n = u->left;
	memcpy(s, u->z.next_in, n);
	u->z.next_in += n;
	u->left -= n;
	return (ssize_t)n;
}

ssize_t
unzip_read(struct unzip *u, char *s, size_t n)
{
	int r;

	if (u->encrypted || !unzip_is_known(u))
		return -1;
	if (u->method == STORED)
		return read_stored(u, s, n);
	u->z.next_out = (Bytef *)s;
	u->z.avail_out = n < UINT_MAX ? (uInt)n : UINT_MAX;
	r = inflate(&u->z, Z_SYNC_FLUSH);
	n = (size_t)((char *)u->z.next_out - s);
	return n || r == Z_STREAM_END ? (ssize_t)n : -1;
}

void
unzip_end(struct unzip *u)
{
	inflateEnd(&u->z);
}
