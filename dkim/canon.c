#include "dkim/canon.h"

#include <string.h>

static void
flush(struct canon *c)
{
	if (c->used)
		c->put(c->to, c->out, c->used);
	c->used = 0;
}

static void
emit(struct canon *c, char const *s, size_t n)
{
	if (n > sizeof c->out - c->used)
		flush(c);
	if (n > sizeof c->out) {
		c->put(c->to, s, n);
		return;
	}
	memcpy(c->out + c->used, s, n);
	c->used += n;
}

void
canon_begin(struct canon *c, void (*put)(void *, char const *, size_t),
    void *to)
{
	c->put = put;
	c->to = to;
	c->lines = 0;
	c->blank = c->cr = c->some = 0;
	c->used = 0;
}

/* What was held back counts after all: something comes behind it. */
static void
release(struct canon *c)
{
	for (; c->lines; c->lines--)
		emit(c, "\r\n", 2);
	if (c->blank)
		emit(c, " ", 1);
	c->blank = 0;
	c->some = 1;
}

/* How many bytes of s[0..n) stand for themselves. */
static size_t
plain(char const *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] != '\n' && s[i] != '\r' && s[i] != ' ' &&
	    s[i] != '\t')
		i++;
	return i;
}

void
canon_body(struct canon *c, char const *s, size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i += k) {
		k = 1;
		if (s[i] == '\n') {
			c->lines++;
			c->blank = c->cr = 0;
			continue;
		}
		c->blank |= c->cr;
		c->cr = s[i] == '\r';
		if (c->cr)
			continue;
		if (s[i] == ' ' || s[i] == '\t') {
			c->blank = 1;
			continue;
		}
		k = plain(s + i, n - i);
		release(c);
		emit(c, s + i, k);
	}
}

void
canon_end(struct canon *c)
{
	/* empty lines at the end are none; nor is there an empty body's */
	if (c->some)
		emit(c, "\r\n", 2);
	flush(c);
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static int
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The end of a line within a field stands before white space, and a CR alone
 * is white space: runs of all these become one blank.
 */
int
canon_field(stralloc *out, char const *s, size_t n)
{
	char const *colon = memchr(s, ':', n);
	size_t name = colon ? (size_t)(colon - s) : n, i;
	int blank = 0;

	if (!stralloc_readyplus(out, n + 3))
		return -1;
	for (i = 0; i < name; i++)
		if (!is_blank(s[i]))
			out->s[out->len++] = lower(s[i]);
	out->s[out->len++] = ':';
	for (i = name + 1; i < n && is_blank(s[i]); i++)
		;
	for (; i < n; i++) {
		if (is_blank(s[i])) {
			blank = 1;
			continue;
		}
		if (blank)
			out->s[out->len++] = ' ';
		blank = 0;
		out->s[out->len++] = s[i];
	}
	return stralloc_catb(out, "\r\n", 2) ? 1 : -1;
}
