#include "scanq/uutext.h"

#include <stddef.h>
#include <string.h>

enum { BAD_LINES = 3 };		/* in a row: it is no uuencode any more */

void
uutext_start(struct uutext *u, struct inner const *inner, int declared)
{
	memset(u, 0, offsetof(struct uutext, line));
	u->inner = inner;
	u->declared = declared;
	u->n = 0;
}

static void
anomaly(struct uutext *u, enum walk_anomaly code)
{
	u->inner->anomaly(u->inner->ctx, code, u->name, u->n);
}

static void
data(void *ctx, char const *s, size_t n)
{
	struct uutext *u = ctx;

	u->inner->data(u->inner->ctx, s, n);
}

static int
starts(char const *s, size_t n, char const *with)
{
	size_t k = strlen(with);

	return n >= k && memcmp(s, with, k) == 0;
}

/* Behind the word: a mode, three or four octal digits, and perhaps a name. */
static int
take_mode(struct uutext *u, char const *s, size_t n)
{
	size_t digits;

	while (n && *s == ' ')
		s++, n--;
	for (digits = 0; digits < n && s[digits] >= '0' && s[digits] <= '7';)
		digits++;
	if (digits < 3 || digits > 4 || (digits < n && s[digits] != ' '))
		return 0;
	s += digits;
	n -= digits;
	while (n && *s == ' ')
		s++, n--;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\r'))
		n--;
	memcpy(u->name, s, n);
	u->n = n;
	return 1;
}

static void
begin(struct uutext *u, enum walk_encoding encoding)
{
	u->inner->begin(u->inner->ctx, encoding);
	u->inner->name(u->inner->ctx, WALK_IN_UUENCODE, u->name, u->n);
	u->bad = 0;
}

static void
yenc(struct uutext *u, char const *s, size_t n)
{
	char const *p = memmem(s, n, " name=", 6);

	u->n = 0;
	anomaly(u, WALK_YENC_IN_TEXT);
	if (p)
		u->inner->name(u->inner->ctx, WALK_IN_YENC, p + 6,
		    n - (size_t)(p + 6 - s));
}

static void
seek(struct uutext *u, char const *s, size_t n)
{
	if (n && *s == ' ')	/* format=flowed, RFC 3676 4.4 */
		s++, n--;
	if (starts(s, n, "begin-base64 ")) {
		if (!take_mode(u, s + 13, n - 13))
			return;
		anomaly(u, WALK_BASE64_IN_TEXT);
		begin(u, WALK_BASE64);
		decode_start(&u->base64, WALK_BASE64, data, u);
		u->state = UUTEXT_BASE64;
	} else if (starts(s, n, "begin ")) {
		if (take_mode(u, s + 6, n - 6))
			u->state = UUTEXT_BEGUN;
	} else if (starts(s, n, "=ybegin "))
		yenc(u, s, n);
	else if (starts(s, n, "(This file must be converted with BinHex")) {
		u->n = 0;
		anomaly(u, WALK_BINHEX_IN_TEXT);
	}
}

/* A line of uuencode holds nothing but these. */
static int
is_uu(char const *s, size_t n)
{
	if (!n)
		return 0;
	for (; n; s++, n--)
		if (*s < 32 || *s > 96)
			return 0;
	return 1;
}

static unsigned int
value(char c)
{
	return ((unsigned int)c - 32) & 63;
}

/* Blanks at the end of a line may have been lost. */
static unsigned int
value_at(char const *s, size_t n, size_t i)
{
	return i < n ? value(s[i]) : 0;
}

static void
uu_line(struct uutext *u, char const *s, size_t n)
{
	char out[64];
	size_t len = value(*s), used = 0, i;
	unsigned int a, b, c, d;

	for (i = 1; used < len; i += 4) {
		a = value_at(s, n, i);
		b = value_at(s, n, i + 1);
		c = value_at(s, n, i + 2);
		d = value_at(s, n, i + 3);
		out[used++] = (char)(a << 2 | b >> 4);
		out[used++] = (char)(b << 4 | c >> 2);
		out[used++] = (char)(c << 6 | d);
	}
	data(u, out, len);
}

static void
finish(struct uutext *u, int complete)
{
	if (u->state == UUTEXT_BASE64)
		decode_end(&u->base64);
	if (!complete)
		anomaly(u, WALK_UU_NO_END);
	u->inner->end(u->inner->ctx);
	u->state = UUTEXT_SEEK;
}

static void
in_uu(struct uutext *u, char const *s, size_t n)
{
	while (n && s[n - 1] == '\r')
		n--;
	if (starts(s, n, "end") && n < 5) {
		finish(u, 1);
	} else if (is_uu(s, n)) {
		uu_line(u, s, n);
		u->bad = 0;
	} else if (n) {
		anomaly(u, WALK_UU_BAD);
		if (++u->bad == BAD_LINES || starts(s, n, "begin ")) {
			finish(u, 0);
			seek(u, s, n);
		}
	}
}

/* The line behind "begin": English text may have such a line. */
static void
in_begun(struct uutext *u, char const *s, size_t n)
{
	while (n && s[n - 1] == '\r')
		n--;
	u->state = UUTEXT_SEEK;
	if (!is_uu(s, n) && !(starts(s, n, "end") && n < 5)) {
		seek(u, s, n);
		return;
	}
	if (!u->declared)
		anomaly(u, WALK_UU_IN_TEXT);
	begin(u, WALK_UUENCODE);
	u->state = UUTEXT_UU;
	in_uu(u, s, n);
}

static void
line(struct uutext *u, char const *s, size_t n)
{
	switch (u->state) {
	case UUTEXT_SEEK:
		if (n && (*s == 'b' || *s == '=' || *s == '(' || *s == ' '))
			seek(u, s, n < UUTEXT_LINE ? n : UUTEXT_LINE);
		break;
	case UUTEXT_BEGUN:
		in_begun(u, s, n);
		break;
	case UUTEXT_UU:
		in_uu(u, s, n);
		break;
	case UUTEXT_BASE64:
		if (starts(s, n, "===="))
			finish(u, 1);
		else
			decode_feed(&u->base64, s, n);
		break;
	}
}

/* Keeps the start of a line until its end has come. */
static void
keep(struct uutext *u, char const *s, size_t n)
{
	size_t k = UUTEXT_LINE - u->have;

	if (k < n && u->state == UUTEXT_BASE64) {
		decode_feed(&u->base64, u->line, u->have);
		decode_feed(&u->base64, s, n);
		u->have = 0;
		return;
	}
	k = k < n ? k : n;
	memcpy(u->line + u->have, s, k);
	u->have += k;
}

void
uutext_feed(struct uutext *u, char const *s, size_t n)
{
	char const *e;
	size_t k;

	while (n && (e = memchr(s, '\n', n))) {
		k = (size_t)(e - s);
		if (u->have) {
			keep(u, s, k);
			line(u, u->line, u->have);
			u->have = 0;
		} else
			line(u, s, k);
		s += k + 1;
		n -= k + 1;
	}
	keep(u, s, n);
}

void
uutext_end(struct uutext *u)
{
	if (u->have)
		line(u, u->line, u->have);
	u->have = 0;
	if (u->state == UUTEXT_UU || u->state == UUTEXT_BASE64)
		finish(u, 0);
}
