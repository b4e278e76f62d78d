#include "scanq/param.h"

#include <string.h>
#include <strings.h>

#include "scanq/words.h"

enum {
	COMMENT = 1000,		/* bytes that a comment is looked for in */
	UNTERMINATED = 8	/* quotes without an end that are followed */
};

static char const *const wanted[] = { "boundary", "name", "filename" };

struct text {
	char const *s;
	char const *end;
	unsigned int unterminated;
};

static int
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int
is_name(char c)
{
	return !is_blank(c) && c && !strchr(";=\",()<>", c);
}

/* Past blanks, NULs, and comments that have an end. */
static char const *
skip(char const *s, char const *end)
{
	char const *p;
	int depth = 0;

	for (;;) {
		while (s < end && (is_blank(*s) || !*s))
			s++;
		if (s == end || *s != '(')
			return s;
		for (p = s; p < end && p - s < COMMENT; p++) {
			depth += *p == '(';
			depth -= *p == ')';
			if (*p == '\\' && p + 1 < end)
				p++;
			if (!depth)
				break;
		}
		if (p >= end || depth)
			return s;
		s = p + 1;
	}
}

/* name, name*, name*0, name*0* */
static int
take_name(struct param *p, char const *s, size_t n)
{
	char const *star = memchr(s, '*', n);
	size_t i;

	p->name = s;
	p->n = star ? (size_t)(star - s) : n;
	p->section = -1;
	p->extended = n && s[n - 1] == '*';
	if (star && star + 1 < s + n && star[1] >= '0' && star[1] <= '9')
		for (p->section = 0, star++; star < s + n && *star >= '0' &&
		    *star <= '9' && p->section < 1000000; star++)
			p->section = p->section * 10 + (*star - '0');
	for (i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (p->n == strlen(wanted[i]) &&
		    strncasecmp(p->name, wanted[i], p->n) == 0)
			return 1;
	return 0;
}

/* A quoted value; s is behind its quote.  Where to go on. */
static char const *
take_quoted(struct text *t, struct param *p, char const *s)
{
	char const *e;

	for (e = s; e < t->end && *e != '"'; e++)
		if (*e == '\\' && e + 1 < t->end)
			e++;
	p->quoted = 1;
	p->value = s;
	p->vn = (size_t)(e - s);
	p->loose = p->vn;
	p->unterminated = e == t->end;
	if (!p->unterminated)
		return e + 1;
	/* what is in it may be what another reader sees */
	e = memchr(s, ';', p->vn);
	p->loose = e ? (size_t)(e - s) : p->vn;
	return ++t->unterminated > UNTERMINATED ? t->end : s;
}

static char const *
take_bare(struct text *t, struct param *p, char const *s)
{
	char const *e, *semicolon;

	for (semicolon = s; semicolon < t->end && *semicolon != ';';)
		semicolon++;
	for (e = s; e < semicolon && !is_blank(*e) && *e != '('; e++)
		;
	p->quoted = p->unterminated = 0;
	p->value = s;
	p->vn = (size_t)(e - s);
	while (semicolon > e && is_blank(semicolon[-1]))
		semicolon--;
	p->loose = (size_t)(semicolon - s);
	return e;
}

static void
add(struct params *all, struct param const *p)
{
	if (all->n == PARAMS)
		all->odd = 1;
	else
		all->p[all->n++] = *p;
}

/* What follows a word: "=" makes it a parameter.  Where to go on. */
static char const *
take_value(struct text *t, struct params *all, char const *word,
    char const *s)
{
	size_t n = (size_t)(s - word);
	struct param p = { 0 };
	char const *next;
	int want;

	next = skip(s, t->end);
	if (next == t->end || *next != '=')
		return s;
	want = take_name(&p, word, n);
	s = skip(next + 1, t->end);
	if (s < t->end && *s == '"')
		next = take_quoted(t, &p, s + 1);
	else
		next = take_bare(t, &p, s);
	all->odd |= p.unterminated;
	if (want)
		add(all, &p);
	return next;
}

void
params_find(struct params *all, char const *s, size_t n)
{
	struct text t = { s, s + n, 0 };
	char const *word, *next;
	int first = 1, separated = 1, comment = 0;

	all->n = 0;
	all->odd = all->charset = 0;
	while (s < t.end) {
		if (!is_name(*s)) {
			comment += *s == '(';
			comment -= *s == ')' && comment;
			separated |= *s == ';';
			s++;
			continue;
		}
		for (word = s; s < t.end && is_name(*s); s++)
			;
		next = take_value(&t, all, word, s);
		/* the first word is the type; a parameter stands behind a
		 * semicolon */
		if (!comment && !first && (next == s || !separated))
			all->odd = 1;
		first = separated = 0;
		s = next;
	}
}

/* One reading in the making. */
struct reading {
	struct params *all;
	param_reading *tell;
	void *ctx;
	struct param const *raw;
};

static void
tell(struct reading *r, char const *s, size_t n, int sure)
{
	char out[PARAM_READING];
	size_t k;

	n = n < PARAM_READING ? n : PARAM_READING;
	r->tell(r->ctx, s, n, sure, r->raw);
	k = words_decode(out, sizeof out, s, n, &r->all->charset);
	if (k)
		r->tell(r->ctx, out, k, 0, r->raw);
}

/* RFC 5322 3.2.4: a backslash quotes what follows it. */
static size_t
unquote(char *out, char const *s, size_t n)
{
	size_t i, used = 0;

	for (i = 0; i < n && used < PARAM_READING; i++) {
		if (s[i] == '\\' && i + 1 < n)
			i++;
		out[used++] = s[i];
	}
	return used;
}

static void
tell_plain(struct reading *r, struct param const *p)
{
	char out[PARAM_READING];
	size_t n;

	r->raw = p;
	if (p->extended) {
		n = words_extended(out, sizeof out, p->value, p->vn,
		    &r->all->charset);
		tell(r, out, n, 1);
		return;
	}
	if (p->quoted && memchr(p->value, '\\', p->vn)) {
		n = unquote(out, p->value, p->vn);
		tell(r, out, n, 1);
		tell(r, p->value, p->vn, 0);
		/* C:\dir\file.exe, from those who do not quote */
	} else
		tell(r, p->value, p->vn, 1);
	if (p->loose != p->vn)
		tell(r, p->value, p->loose, 0);
}

/* The section with that number: the first such, or the last. */
static struct param const *
section(struct params const *all, struct param const *like, long number,
    int last)
{
	struct param const *found = 0;
	size_t i;

	for (i = 0; i < all->n; i++) {
		struct param const *p = &all->p[i];

		if (p->section != number || p->n != like->n ||
		    strncasecmp(p->name, like->name, p->n) != 0)
			continue;
		found = p;
		if (!last)
			break;
	}
	return found;
}

/* Adds a section to out[0..*used).  The charset stands in the first one. */
static void
join(char *out, size_t *used, struct param const *p)
{
	char part[PARAM_READING];
	size_t n = p->vn < PARAM_READING ? p->vn : PARAM_READING;

	if (p->extended)
		n = words_percent(part, p->value, n);
	else
		n = unquote(part, p->value, n);
	if (n > PARAM_READING - *used)
		n = PARAM_READING - *used;
	memcpy(out + *used, part, n);
	*used += n;
}

/* All sections in their order.  gaps: go on behind a missing one. */
static void
tell_sections(struct reading *r, struct param const *like, int last, int gaps)
{
	char joined[PARAM_READING], out[PARAM_READING];
	struct param const *p, *first = 0;
	char const *text = joined, *one, *two = 0;
	size_t used = 0, n;
	long i, misses = 0;

	for (i = 0; i < PARAMS && (!misses || gaps); i++) {
		p = section(r->all, like, i, last);
		misses += !p;
		if (p && !first)
			first = p;
		if (p)
			join(joined, &used, p);
	}
	if (!first || (gaps && !misses))
		return;
	r->raw = first;
	one = first->extended ? memchr(joined, '\'', used) : 0;
	if (one)
		two = memchr(one + 1, '\'', used - (size_t)(one + 1 - joined));
	if (two)
		text = two + 1;
	n = words_utf8(out, sizeof out, joined,
	    two ? (size_t)(one - joined) : 0, text,
	    used - (size_t)(text - joined), &r->all->charset);
	tell(r, out, n, !last && !gaps);
	if (first->extended && memchr(out, '%', n)) {
		/* a %XX that two sections share */
		n = words_percent(joined, out, n);
		tell(r, joined, n, 0);
	}
}

unsigned int
params_each(struct params *all, char const *name, param_reading *each,
    void *ctx)
{
	struct reading r = { all, each, ctx, 0 };
	unsigned int found = 0;
	size_t i, n = strlen(name);
	int sections = 0;

	for (i = 0; i < all->n; i++) {
		struct param const *p = &all->p[i];

		if (p->n != n || strncasecmp(p->name, name, n) != 0)
			continue;
		if (p->section == -1) {
			found++;
			tell_plain(&r, p);
			continue;
		}
		if (sections++)
			continue;
		found++;
		tell_sections(&r, p, 0, 0);
		tell_sections(&r, p, 1, 0);
		tell_sections(&r, p, 0, 1);
	}
	return found;
}
