#include "remote/stspolicy.h"

#include <string.h>
#include <strings.h>

#include "lib/resolve.h"

enum { AGE_MOST = 31557600 };	/* RFC 8461 3.2 */

struct field {
	char const *key, *value;
	size_t key_len, value_len;
};

static void
trim(char const **s, size_t *n)
{
	while (*n && strchr(" \t\r", **s)) {
		(*s)++;
		(*n)--;
	}
	while (*n && strchr(" \t\r", (*s)[*n - 1]))
		(*n)--;
}

/* Cuts a line off; 0: none is left, or it has no colon. */
static int
next(char const **s, size_t *n, struct field *f)
{
	char const *line = *s, *lf = *n ? memchr(line, '\n', *n) : 0, *colon;
	size_t len = lf ? (size_t)(lf - line) : *n;

	if (!*n)
		return 0;
	*s += lf ? len + 1 : len;
	*n -= lf ? len + 1 : len;
	colon = memchr(line, ':', len);
	f->key = line;
	f->key_len = colon ? (size_t)(colon - line) : len;
	f->value = colon ? colon + 1 : line + len;
	f->value_len = colon ? len - f->key_len - 1 : 0;
	trim(&f->key, &f->key_len);
	trim(&f->value, &f->value_len);
	return 1;
}

static int
is(char const *s, size_t n, char const *word)
{
	return n == strlen(word) && !memcmp(s, word, n);
}

/* 1, 0 */
static int
number(struct field const *f, uint32_t *out)
{
	uint32_t u = 0;
	size_t i;

	for (i = 0; i < f->value_len; i++) {
		if (f->value[i] < '0' || f->value[i] > '9')
			return 0;
		u = u * 10 + (f->value[i] - '0');
		if (u > AGE_MOST)
			u = AGE_MOST;
	}
	*out = u;
	return i != 0;
}

/* 1, -1; what is no host name is not taken. */
static int
add(struct stspolicy *p, char const *s, size_t n)
{
	size_t i, count = 0, star = n > 2 && s[0] == '*' && s[1] == '.' ? 2 : 0;

	for (i = 0; i < p->mx.len; i++)
		count += !p->mx.s[i];
	if (count == STS_PATTERNS || !resolve_valid(s + star, n - star))
		return 1;
	return stralloc_catb(&p->mx, s, n) && stralloc_0(&p->mx) ? 1 : -1;
}

/* Of fields other than mx the first one counts. */
int
stspolicy_parse(struct stspolicy *p, char const *s, size_t n)
{
	enum { VERSION = 1, MODE = 2, AGE = 4 };
	struct field f;
	int seen = 0;

	p->enforce = 0;
	p->max_age = 0;
	p->mx.len = 0;
	while (next(&s, &n, &f)) {
		if (is(f.key, f.key_len, "version") && !(seen & VERSION)) {
			if (!is(f.value, f.value_len, "STSv1"))
				return 0;
			seen |= VERSION;
		} else if (is(f.key, f.key_len, "mode") && !(seen & MODE)) {
			p->enforce = is(f.value, f.value_len, "enforce");
			if (!p->enforce && !is(f.value, f.value_len, "testing")
			    && !is(f.value, f.value_len, "none"))
				return 0;
			seen |= MODE;
		} else if (is(f.key, f.key_len, "max_age") && !(seen & AGE)) {
			if (!number(&f, &p->max_age))
				return 0;
			seen |= AGE;
		} else if (is(f.key, f.key_len, "mx") &&
		    add(p, f.value, f.value_len) == -1)
			return -1;
	}
	return seen == (VERSION | MODE | AGE) && (!p->enforce || p->mx.len);
}

int
stspolicy_names(struct stspolicy const *p, char const *host)
{
	char const *dot = strchr(host, '.');
	size_t i;

	for (i = 0; i < p->mx.len; i += strlen(p->mx.s + i) + 1) {
		char const *pattern = p->mx.s + i;

		if (*pattern != '*' ? !strcasecmp(pattern, host) :
		    dot && dot != host && !strcasecmp(pattern + 1, dot))
			return 1;
	}
	return 0;
}

/* A byte of a text: "\DDD" or itself. */
static char const *
byte(char const *s, char *out)
{
	if (*s == '\\' && strspn(s + 1, "01234567") >= 3) {
		*out = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
		return s + 4;
	}
	*out = *s;
	return s + 1;
}

static int
alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z');
}

/* "v=STSv1; id=...;" */
int
stspolicy_id(char const *txt, char id[STS_ID + 1])
{
	char text[256], *s, *next_field;
	size_t n = 0;

	if (*txt++ != '"')
		return 0;
	while (*txt && *txt != '"' && n < sizeof text - 1)
		txt = byte(txt, &text[n++]);
	text[n] = 0;
	if (strncmp(text, "v=STSv1", 7) || !strchr("; \t", text[7]) ||
	    !text[7])
		return 0;
	for (s = strchr(text, ';'); s; s = next_field) {
		s += 1 + strspn(s + 1, " \t");
		next_field = strchr(s, ';');
		if (strncmp(s, "id=", 3))
			continue;
		s += 3;
		for (n = 0; n < STS_ID && alphanumeric(s[n]); n++)
			id[n] = s[n];
		id[n] = 0;
		return n && strchr("; \t", s[n]) != 0;
	}
	return 0;
}
