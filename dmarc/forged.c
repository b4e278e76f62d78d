#include "dmarc/forged.h"

#include <string.h>
#include <strings.h>

void
forged_begin(struct forged *f, char const *us, size_t n)
{
	memset(f, 0, sizeof *f);
	f->us = us;
	f->us_len = n;
}

static int
is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Passes over blanks and comments (CFWS of RFC 5322 3.2.2).  1; 0: the comment
 * does not end in what we have.
 */
static int
skip(char const *s, size_t n, size_t *at)
{
	unsigned int depth = 0;
	size_t i;

	for (i = *at; i < n && (depth || is_white(s[i]) || s[i] == '('); i++) {
		if (s[i] == '(')
			depth++;
		else if (s[i] == ')' && depth)
			depth--;
		else if (s[i] == '\\' && depth)
			i++;
	}
	*at = i;
	return i < n && !depth;
}

/* The authserv-id, a token or a quoted string, from s[0..n).  Does it name us?
 * What cannot be read in full might.
 */
static int
is_us(struct forged const *f, char const *s, size_t n)
{
	char id[256];
	size_t i = 0, k = 0;
	int quoted;

	if (!skip(s, n, &i))
		return 1;
	quoted = s[i] == '"';
	for (i += quoted; i < n; i++) {
		if (quoted ? s[i] == '"' : is_white(s[i]) || s[i] == ';' ||
		    s[i] == '(' || s[i] == '"')
			break;
		if (quoted && s[i] == '\\' && i + 1 < n)
			i++;
		if (k == sizeof id)
			return 0;	/* no host has such a name */
		id[k++] = s[i];
	}
	k -= k && id[k - 1] == '.';
	return i == n || (k == f->us_len && !strncasecmp(id, f->us, k));
}

/* The field in buf is whole, or longer than we look at. */
static int
judge(struct forged *f)
{
	static size_t const name = sizeof FORGED_NAME - 1;
	size_t i = name;
	int ours = f->used > name && !strncasecmp(f->buf, FORGED_NAME, name);

	if (ours) {
		while (i < f->used && (f->buf[i] == ' ' || f->buf[i] == '\t'))
			i++;
		/* a NUL is the end of a field that has ended early */
		ours = i < f->used && f->buf[i] == ':';
	}
	if (!ours)
		return 1;
	i++;
	return !is_us(f, f->buf + i, f->used - i) ||
	    genalloc_append(off_t, &f->places, &f->start) ? 1 : -1;
}

/* The first byte of a line: does it go on with the field? */
static int
begin_line(struct forged *f, char c)
{
	int r = 1;

	if (c == ' ' || c == '\t')
		return 1;
	if (f->used)
		r = judge(f);
	f->start = f->at;
	f->used = 0;
	return r;
}

int
forged_feed(struct forged *f, char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && !f->over; i++, f->at++) {
		if (s[i] == '\n' && (f->line == 0 || (f->line == 1 && f->cr)))
			return forged_end(f);
		if (f->line == 0 && begin_line(f, s[i]) == -1)
			return -1;
		f->cr = f->line == 0 && s[i] == '\r';
		f->line = s[i] == '\n' ? 0 : f->line < 2 ? f->line + 1 : 2;
		if (f->used < sizeof f->buf)
			f->buf[f->used++] = s[i];
	}
	return 1;
}

int
forged_end(struct forged *f)
{
	int r = f->used && !f->over ? judge(f) : 1;

	f->over = 1;
	return r;
}
