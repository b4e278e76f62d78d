#include "scanq/tar.h"

#include <string.h>

#include "scanq/filename.h"

enum { BLOCK = 512 };

void
tar_start(struct tar *t, struct walkout *out, uint32_t part)
{
	memset(t, 0, offsetof(struct tar, name));
	t->out = out;
	t->part = part;
	window_start(&t->window);
}

/* Octal digits, or with the first bit set a binary number (GNU). */
static uint64_t
number(char const *s, size_t n)
{
	uint64_t v = 0;
	size_t i;

	if ((unsigned char)*s & 0x80) {
		for (i = n - 8; i < n; i++)
			v = v << 8 | (unsigned char)s[i];
		return v;
	}
	for (i = 0; i < n && s[i] == ' '; i++)
		;
	for (; i < n && s[i] >= '0' && s[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(s[i] - '0');
	return v;
}

/* Do the bytes add up as the header says?  Its own field counts as blanks. */
static int
sums_up(char const *s)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)s[i];
	return sum == number(s + 148, 8);
}

static void
report(struct tar *t, char const *s, size_t n, uint64_t size)
{
	struct filename f = { t->part, WALK_IN_TAR, size, s, n };

	filename_report(t->out, &f, s, n);
}

/* "LENGTH path=NAME\n" among the pax fields (POSIX, pax). */
static void
pax(struct tar *t)
{
	char const *s = t->name, *end = t->name + t->n, *p, *line;
	uint64_t len;

	for (; s < end; s += len) {
		for (len = 0, p = s; p < end && *p >= '0' && *p <= '9' &&
		    len < WALK_NAME; p++)
			len = len * 10 + (uint64_t)(*p - '0');
		if (p == end || *p != ' ' || len < 3)
			return;
		if (len > (uint64_t)(end - s))
			len = (uint64_t)(end - s);
		line = p + 1;
		if (s + len > line + 5 && memcmp(line, "path=", 5) == 0)
			report(t, line + 5, (size_t)(s + len - line) - 6,
			    WALK_UNKNOWN);
	}
}

static void
header_name(struct tar *t, char const *s, uint64_t size)
{
	char name[BLOCK];
	size_t k = 0, n = strnlen(s, 100);

	if (memcmp(s + 257, "ustar\0", 6) == 0 && s[345]) {
		k = strnlen(s + 345, 155);
		memcpy(name, s + 345, k);
		name[k++] = '/';
	}
	memcpy(name + k, s, n);
	report(t, name, k + n, size);
}

static void
use_header(struct tar *t, char const *s)
{
	uint64_t size = number(s + 124, 12);
	int i;

	for (i = 0; i < BLOCK && !s[i]; i++)
		;
	if (i == BLOCK)		/* the end, or a gap: more may follow */
		return;
	if (!sums_up(s)) {
		if (t->any)
			walkout_anomaly(t->out, t->part, WALK_TAR_BAD, "", 0);
		t->on = -1;
		return;
	}
	t->on = t->any = 1;
	t->kind = s[156];
	t->n = 0;
	t->skip = size > UINT64_MAX - BLOCK ? UINT64_MAX :
	    (size + BLOCK - 1) / BLOCK * BLOCK;
	if (t->kind == 'L' || t->kind == 'x')
		t->take = size < WALK_NAME ? size : WALK_NAME;
	else if (!strchr("gKXVN5", t->kind) || !t->kind)
		header_name(t, s, size);
}

/* Contents: those of a long name are kept. */
static size_t
use_contents(struct tar *t, char const *s, size_t n)
{
	size_t k;

	if (n > t->skip)
		n = (size_t)t->skip;
	t->skip -= n;
	if (!t->take)
		return n;
	k = n < t->take ? n : (size_t)t->take;
	memcpy(t->name + t->n, s, k);
	t->n += k;
	t->take -= k;
	if (!t->take && t->kind == 'L')
		report(t, t->name, strnlen(t->name, t->n), WALK_UNKNOWN);
	else if (!t->take)
		pax(t);
	return n;
}

static size_t
use(void *ctx, char const *s, size_t n, int last)
{
	struct tar *t = ctx;
	size_t used = 0;

	while (used < n && t->on != -1) {
		if (t->skip) {
			used += use_contents(t, s + used, n - used);
			continue;
		}
		if (n - used < BLOCK)
			return last ? n : used;
		use_header(t, s + used);
		used += BLOCK;
	}
	return n;
}

void
tar_feed(struct tar *t, char const *s, size_t n)
{
	if (t->on != -1)
		window_feed(&t->window, s, n, use, t);
}

void
tar_end(struct tar *t)
{
	window_end(&t->window, use, t);
	if (t->any && t->on == 1 && t->skip)
		walkout_anomaly(t->out, t->part, WALK_TAR_BAD, "", 0);
}
