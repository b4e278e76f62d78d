#include "scanq/tnef.h"

#include <string.h>

#include "scanq/bytes.h"
#include "scanq/words.h"

enum {
	NAME = WALK_NAME,
	/* attributes */
	RENDDATA = 0x00069002,
	TITLE = 0x00018010,
	DATA = 0x0006800f,
	ATTACHMENT = 0x00069005,
	/* properties and their kinds */
	DISPLAY_NAME = 0x3001,
	FILENAME = 0x3704,
	LONG_FILENAME = 0x3707,
	NAMED = 0x8000,
	MULTIPLE = 0x1000,
	STRING8 = 0x1e,
	UNICODE = 0x1f,
	OBJECT = 0x0d,
	BINARY = 0x102
};

void
tnef_start(struct tnef *t, struct inner const *inner)
{
	memset(t, 0, offsetof(struct tnef, window));
	t->inner = inner;
	window_start(&t->window);
}

static void
close_file(struct tnef *t)
{
	if (t->open)
		t->inner->end(t->inner->ctx);
	t->open = 0;
}

static void
open_file(struct tnef *t)
{
	if (!t->open)
		t->inner->begin(t->inner->ctx, WALK_IDENTITY);
	t->open = 1;
}

/* Not readable: the rest of the attribute, or all that follows. */
static void
bad(struct tnef *t)
{
	t->inner->anomaly(t->inner->ctx, WALK_TNEF_BAD, "", 0);
	t->state = t->inside ? TNEF_SKIP : TNEF_OVER;
}

static size_t
use_start(struct tnef *t, char const *s, size_t n)
{
	if (n < 6)
		return 0;
	t->state = memcmp(s, "\x78\x9f\x3e\x22", 4) == 0 ? TNEF_ATTRIBUTE :
	    TNEF_OVER;
	return 6;
}

static size_t
use_attribute(struct tnef *t, char const *s, size_t n)
{
	if (n < 9)
		return 0;
	if (*s != 1 && *s != 2) {
		bad(t);
		return n;
	}
	t->left = bytes_little(s + 5, 4);
	t->inside = 1;
	t->state = TNEF_SKIP;
	switch (bytes_little(s + 1, 4)) {
	case RENDDATA:
		close_file(t);
		open_file(t);
		break;
	case TITLE:
		t->state = TNEF_TITLE;
		break;
	case DATA:
		t->state = TNEF_DATA;
		break;
	case ATTACHMENT:
		t->state = TNEF_COUNT;
		break;
	}
	return 9;
}

/* A name of n bytes at s, which ends at a NUL if there is one. */
static void
name(struct tnef *t, char const *s, size_t n, int wide)
{
	char out[NAME];
	int odd = 0;

	open_file(t);
	if (wide) {
		n = words_utf8(out, sizeof out, "utf-16le", 8, s, n, &odd);
		s = out;
	}
	n = strnlen(s, n);
	t->inner->name(t->inner->ctx, WALK_IN_TNEF, s, n);
}

static size_t
use_title(struct tnef *t, char const *s, size_t n)
{
	size_t k = t->left < NAME ? (size_t)t->left : NAME;

	if (n < k)
		return 0;
	name(t, s, k, 0);
	t->state = TNEF_SKIP;
	return k;
}

static size_t
use_data(struct tnef *t, char const *s, size_t n)
{
	open_file(t);
	t->inner->data(t->inner->ctx, s, n);
	return n;
}

static size_t
use_count(struct tnef *t, char const *s, size_t n)
{
	if (n < 4)
		return 0;
	t->properties = (uint32_t)bytes_little(s, 4);
	t->state = TNEF_PROPERTY;
	return 4;
}

/* kind and number; of a named property also a GUID and a name */
static size_t
use_property(struct tnef *t, char const *s, size_t n)
{
	uint64_t k;

	if (!t->properties) {
		t->state = TNEF_SKIP;
		return n ? 1 : 0;
	}
	if (n < 4)
		return 0;
	t->kind = (unsigned int)bytes_little(s, 2);
	t->id = (unsigned int)bytes_little(s + 2, 2);
	if (t->id & NAMED && n < 28)
		return 0;
	t->properties--;
	t->state = TNEF_VALUES;
	if (!(t->id & NAMED))
		return 4;
	if (bytes_little(s + 20, 4) == 1) {
		k = bytes_little(s + 24, 4);
		t->skip = (k + 3) & ~(uint64_t)3;
	}
	return 28;
}

static int
is_variable(unsigned int kind)
{
	kind &= ~(unsigned int)MULTIPLE;
	return kind == STRING8 || kind == UNICODE || kind == BINARY ||
	    kind == OBJECT;
}

static unsigned int
fixed_size(unsigned int kind)
{
	switch (kind & ~(unsigned int)MULTIPLE) {
	case 0x02: case 0x03: case 0x04: case 0x0a: case 0x0b:
		return 4;
	case 0x05: case 0x06: case 0x07: case 0x14: case 0x40:
		return 8;
	case 0x48:
		return 16;
	default:
		return 0;
	}
}

static size_t
use_values(struct tnef *t, char const *s, size_t n)
{
	unsigned int size = fixed_size(t->kind);

	if (!is_variable(t->kind) && !size) {
		bad(t);
		return n;
	}
	t->state = TNEF_PROPERTY;
	if (!is_variable(t->kind) && !(t->kind & MULTIPLE)) {
		if (n < size)
			t->state = TNEF_VALUES;
		return n < size ? 0 : size;
	}
	if (n < 4) {
		t->state = TNEF_VALUES;
		return 0;
	}
	t->values = (uint32_t)bytes_little(s, 4);
	if (is_variable(t->kind))
		t->state = TNEF_VALUE;
	else
		t->skip = (uint64_t)t->values * size;
	return 4;
}

static size_t
use_value(struct tnef *t, char const *s, size_t n)
{
	uint64_t len;
	size_t k;

	if (!t->values) {
		t->state = TNEF_PROPERTY;
		return t->properties ? use_property(t, s, n) : n;
	}
	if (n < 4)
		return 0;
	len = bytes_little(s, 4);
	k = len < NAME ? (size_t)len : NAME;
	if (t->id == DISPLAY_NAME || t->id == FILENAME ||
	    t->id == LONG_FILENAME) {
		if (n - 4 < k)
			return 0;
		if ((t->kind & 0xff) == STRING8 || (t->kind & 0xff) == UNICODE)
			name(t, s + 4, k, (t->kind & 0xff) == UNICODE);
	}
	t->values--;
	t->skip = (len + 3) & ~(uint64_t)3;
	return 4;
}

typedef size_t state_use(struct tnef *, char const *, size_t);

static size_t
use_skip(struct tnef *t, char const *s, size_t n)
{
	(void)t;
	(void)s;
	return n;
}

static state_use *const states[] = {
	use_start, use_attribute, use_title, use_data, use_count, use_property,
	use_values, use_value, use_skip, use_skip
};

/* One step.  What it used; 0: must see more. */
static size_t
step(struct tnef *t, char const *s, size_t n, int last)
{
	size_t k;
	int whole = last, inside = t->inside;

	if (inside && n >= t->left) {
		n = (size_t)t->left;
		whole = 1;
	}
	if (t->skip) {
		k = t->skip < n ? (size_t)t->skip : n;
		t->skip -= k;
	} else
		k = states[t->state](t, s, n);
	if (!k && whole)	/* cut short: nothing more can be read */
		k = n;
	if (inside)
		t->left -= k;
	return k;
}

static size_t
use(void *ctx, char const *s, size_t n, int last)
{
	struct tnef *t = ctx;
	size_t used = 0, k;

	while (used < n && t->state != TNEF_OVER) {
		k = step(t, s + used, n - used, last);
		if (!k && !(t->inside && !t->left))
			return used;
		used += k;
		if (!t->inside || t->left)
			continue;
		t->inside = 0;		/* the checksum is next */
		t->state = TNEF_ATTRIBUTE;
		t->skip = 2;
	}
	return n;
}

void
tnef_feed(struct tnef *t, char const *s, size_t n)
{
	if (t->state != TNEF_OVER)
		window_feed(&t->window, s, n, use, t);
}

void
tnef_end(struct tnef *t)
{
	window_end(&t->window, use, t);
	if (t->state != TNEF_OVER && t->state != TNEF_START && t->inside)
		t->inner->anomaly(t->inner->ctx, WALK_TNEF_BAD, "", 0);
	close_file(t);
}
