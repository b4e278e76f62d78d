#include "scanq/rar.h"

#include <string.h>

#include "scanq/bytes.h"
#include "scanq/filename.h"

enum {
	HEADER = 4096,		/* of a longer header this is seen */
	SIGNATURE_7Z = 32,
	/* format 4 */
	MAIN = 0x73,
	FILE_4 = 0x74,
	HAS_DATA = 0x8000,
	/* format 5 */
	FILE_5 = 2,
	CRYPT = 4,
	HAS_EXTRA = 1,
	HAS_DATA_5 = 2
};

void
rar_start(struct rar *r, struct walkout *out, uint32_t part)
{
	memset(r, 0, offsetof(struct rar, window));
	r->out = out;
	r->part = part;
	window_start(&r->window);
}

static void
anomaly(struct rar *r, int code)
{
	walkout_anomaly(r->out, r->part, code, "", 0);
	if (code != WALK_ENCRYPTED)
		r->kind = RAR_NONE;
}

static void
report(struct rar *r, char const *s, size_t n, uint64_t size)
{
	struct filename f = { r->part, WALK_IN_RAR, size, s, n };

	filename_report(r->out, &f, s, n);
}

/* A file's header; behind a NUL in its name stands its Unicode form, made of
 * differences to the first.
 */
static void
file_4(struct rar *r, char const *s, size_t n)
{
	unsigned int flags = (unsigned int)bytes_little(s + 3, 2);
	size_t at = flags & 0x100 ? 40 : 32, k;

	if (n < at)
		return;
	if (flags & 4)
		anomaly(r, WALK_ENCRYPTED);
	k = (size_t)bytes_little(s + 26, 2);
	k = k < n - at ? k : n - at;
	report(r, s + at, strnlen(s + at, k), bytes_little(s + 11, 4));
}

/* A block of format 4: the bytes used; 0: must see more. */
static size_t
use_4(struct rar *r, char const *s, size_t n, int last)
{
	unsigned int type, flags;
	size_t size, seen;

	if (n < 11 && !last)
		return 0;
	if (n < 7)
		return n;
	type = (unsigned char)s[2];
	flags = (unsigned int)bytes_little(s + 3, 2);
	size = (size_t)bytes_little(s + 5, 2);
	seen = size < HEADER ? size : HEADER;
	if (n < seen && !last)
		return 0;
	seen = seen < n ? seen : n;
	if (size < 7 || type < 0x72 || type > 0x7b) {
		anomaly(r, WALK_RAR_BAD);
		return n;
	}
	if (type == MAIN && flags & 0x80)
		anomaly(r, WALK_ENCRYPTED_NAMES);
	if (type == FILE_4)
		file_4(r, s, seen);
	r->skip = size - seen;
	if ((flags & HAS_DATA || type == FILE_4) && seen >= 11)
		r->skip += bytes_little(s + 7, 4);
	if (type == FILE_4 && flags & 0x100 && seen >= 40)
		r->skip += bytes_little(s + 32, 4) << 32;
	return seen;
}

/* A number of format 5: seven bits a byte.  1; 0: not there. */
static int
number(char const **s, char const *end, uint64_t *out)
{
	uint64_t v = 0;
	int shift;

	for (shift = 0; shift < 63 && *s < end; shift += 7) {
		unsigned char c = (unsigned char)*(*s)++;

		v |= (uint64_t)(c & 127) << shift;
		if (!(c & 128)) {
			*out = v;
			return 1;
		}
	}
	return 0;
}

/* Extra records: type 1 says that the file is encrypted. */
static void
extra_5(struct rar *r, char const *s, char const *end)
{
	uint64_t size, type;
	char const *next;

	while (s < end && number(&s, end, &size)) {
		if (size > (uint64_t)(end - s))
			return;
		next = s + size;
		if (number(&s, next, &type) && type == 1)
			anomaly(r, WALK_ENCRYPTED);
		s = next;
	}
}

static void
file_5(struct rar *r, char const *s, char const *end, uint64_t extra)
{
	uint64_t flags, size, attributes, compression, host, n;

	if (!number(&s, end, &flags) || !number(&s, end, &size) ||
	    !number(&s, end, &attributes))
		return;
	n = (flags & 2 ? 4u : 0) + (flags & 4 ? 4u : 0);
	if (n > (uint64_t)(end - s))
		return;
	s += n;
	if (!number(&s, end, &compression) || !number(&s, end, &host) ||
	    !number(&s, end, &n))
		return;
	if (n > (uint64_t)(end - s))
		n = (uint64_t)(end - s);
	report(r, s, (size_t)n, size);
	if (extra <= (uint64_t)(end - s) - n)
		extra_5(r, end - extra, end);
}

/* A block of format 5, as above. */
static size_t
use_5(struct rar *r, char const *s, size_t n, int last)
{
	char const *p = s + 4, *body, *end;
	uint64_t size, seen, type, flags, extra = 0, data = 0;

	if (n < 16 && !last)
		return 0;
	if (n < 7)
		return n;
	if (!number(&p, s + n, &size) || !size || size > 2097152) {
		anomaly(r, WALK_RAR_BAD);
		return n;
	}
	body = p;
	seen = size < HEADER ? size : HEADER;
	if ((uint64_t)(s + n - body) < seen && !last)
		return 0;
	if (seen > (uint64_t)(s + n - body))
		seen = (uint64_t)(s + n - body);
	end = body + seen;
	if (!number(&p, end, &type) || !number(&p, end, &flags) ||
	    (flags & HAS_EXTRA && !number(&p, end, &extra)) ||
	    (flags & HAS_DATA_5 && !number(&p, end, &data))) {
		anomaly(r, WALK_RAR_BAD);
		return n;
	}
	if (type == FILE_5)
		file_5(r, p, end, extra);
	if (type == CRYPT)
		anomaly(r, WALK_ENCRYPTED_NAMES);
	r->skip = size - seen;
	r->skip = data > UINT64_MAX - r->skip ? UINT64_MAX : r->skip + data;
	return (size_t)(end - s);
}

/* The header of a 7z archive, at its end: is AES among its coders? */
static size_t
use_7z(struct rar *r, char const *s, size_t n, int last)
{
	if (n < HEADER && !last)
		return 0;
	if (memmem(s, n, "\6\xf1\7\1", 4))
		walkout_anomaly(r->out, r->part, *s == 0x17 ?
		    WALK_ENCRYPTED_NAMES : WALK_ENCRYPTED, "", 0);
	r->kind = RAR_NONE;
	return n;
}

static size_t
use_start(struct rar *r, char const *s, size_t n, int last)
{
	if (n < SIGNATURE_7Z && !last)
		return 0;
	r->kind = RAR_NONE;
	if (n >= 8 && memcmp(s, "Rar!\x1a\7\1\0", 8) == 0) {
		r->kind = RAR_5;
		return 8;
	}
	if (n >= 7 && memcmp(s, "Rar!\x1a\7\0", 7) == 0) {
		r->kind = RAR_4;
		return 7;
	}
	if (n < SIGNATURE_7Z || memcmp(s, "7z\xbc\xaf\x27\x1c", 6) != 0)
		return n;
	r->kind = RAR_7Z;
	r->skip = bytes_little(s + 12, 8);
	return SIGNATURE_7Z;
}

static size_t
use(void *ctx, char const *s, size_t n, int last)
{
	struct rar *r = ctx;
	size_t used = 0, k;

	while (used < n && r->kind != RAR_NONE) {
		k = n - used;
		if (r->skip) {
			k = k < r->skip ? k : (size_t)r->skip;
			r->skip -= k;
		} else if (r->kind == RAR_UNKNOWN)
			k = use_start(r, s + used, k, last);
		else if (r->kind == RAR_4)
			k = use_4(r, s + used, k, last);
		else if (r->kind == RAR_5)
			k = use_5(r, s + used, k, last);
		else
			k = use_7z(r, s + used, k, last);
		if (!k)
			return last ? n : used;
		used += k;
	}
	return n;
}

void
rar_feed(struct rar *r, char const *s, size_t n)
{
	if (r->kind != RAR_NONE)
		window_feed(&r->window, s, n, use, r);
}

void
rar_end(struct rar *r)
{
	window_end(&r->window, use, r);
}
