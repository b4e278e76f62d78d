#include "rblcheck/lists.h"

#include <errno.h>
#include <string.h>

#include <skalibs/types.h>

#include "lib/control.h"

enum {
	MAX_WEIGHT = 1000,
	/* RFC 1035 2.3.4, less the 64 bytes of an IPv6 address in nibbles */
	MAX_BASE = 253 - 64
};

static int
wrong(char const **why, char const *text)
{
	*why = text;
	return 0;
}

/* A number up to 255.  Its length; 0 not one. */
static size_t
octet(char const *s, unsigned char *out)
{
	unsigned int u;
	size_t n = uint_scan(s, &u);

	if (n > 3 || (n && u > 255))
		return 0;
	*out = u;
	return n;
}

/* n, n-m, or *.  Its length; 0 malformed. */
static size_t
range(char const *s, unsigned char *low, unsigned char *high)
{
	size_t n, m;

	if (*s == '*') {
		*low = 0;
		*high = 255;
		return 1;
	}
	n = octet(s, low);
	*high = *low;
	if (!n || s[n] != '-')
		return n;
	m = octet(s + n + 1, high);
	return m && *low <= *high ? n + 1 + m : 0;
}

/* 127.0.0.2-11,127.0.1.*  Its length; 0 malformed. */
static size_t
read_codes(struct list *l, char const *s)
{
	char const *start = s;
	unsigned int i;
	size_t n;

	do {
		if (l->codes == LISTS_CODES)
			return 0;
		if (s != start)
			s++;
		for (i = 0; i < 4; i++) {
			if (i && *s++ != '.')
				return 0;
			n = range(s, &l->code[l->codes].low[i],
			    &l->code[l->codes].high[i]);
			if (!n)
				return 0;
			s += n;
		}
		l->codes++;
	} while (*s == ',');
	return s - start;
}

/* Host name characters, two labels or more, none of them empty.  Its length; 0
 * malformed. */
static size_t
read_base(char const *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
	size_t i, label = 0;

	if (n > MAX_BASE)
		return 0;
	for (i = 0; i < n; i++) {
		if (s[i] == '.' && !label)
			return 0;
		label = s[i] == '.' ? 0 : label + 1;
		if (label > 63)
			return 0;
	}
	/* one word alone is a slip: "allow" without a list */
	return n && s[n-1] != '.' && memchr(s, '.', n) ? n : 0;
}

static int
read_weight(struct list *l, char const *s, size_t n)
{
	int negative = n && *s == '-';
	unsigned int u;

	s += negative;
	n -= negative;
	if (!n || uint_scan(s, &u) != n || u > MAX_WEIGHT)
		return 0;
	l->weight = negative ? -(int)u : (int)u;
	return 1;
}

static int
is(char const *s, size_t n, char const *word)
{
	return strlen(word) == n && memcmp(s, word, n) == 0;
}

/* The words behind the base.  1, 0. */
static int
read_words(struct list *l, char const *s, char const **why)
{
	size_t n;

	for (;;) {
		s += strspn(s, " \t");
		if (!*s)
			return 1;
		if (strncmp(s, "message=", 8) == 0) {
			l->message = s + 8;
			return 1;
		}
		n = strcspn(s, " \t");
		if (is(s, n, "bounce") || is(s, n, "defer"))
			l->bounce = *s == 'b';
		else if (is(s, n, "closed") || is(s, n, "open"))
			l->closed = *s == 'c';
		else if (strncmp(s, "weight=", 7) != 0)
			return wrong(why, "unknown word");
		else if (!read_weight(l, s + 7, n - 7))
			return wrong(why, "malformed weight");
		s += n;
	}
}

int
lists_add(struct lists *lists, enum lists_kind kind, char const *s,
    char const **why)
{
	struct list l = {
		.kind = kind, .weight = 1, .line = s,
		.bounce = lists->bounce, .closed = lists->closed
	};
	size_t n = read_base(s);
	char *base;

	if (lists->n == LISTS_MAX)
		return wrong(why, "too many lists");
	if (!n)
		return wrong(why, "malformed domain");
	base = strndup(s, n);
	if (!base)
		return -1;
	l.base = base;
	s += n;
	if (*s == '=') {
		n = read_codes(&l, s + 1);
		if (!n)
			return wrong(why, "malformed codes");
		s += 1 + n;
	}
	if (*s == ':')
		l.message = s + 1;
	else if (*s && *s != ' ' && *s != '\t')
		return wrong(why, "unexpected characters behind the domain");
	else if (!read_words(&l, s, why))
		return 0;
	lists->at[lists->n++] = l;
	return 1;
}

/* Takes the word and the blanks behind it off *s. */
static int
starts(char const **s, char const *word)
{
	size_t n = strlen(word), blanks;

	if (strncmp(*s, word, n) != 0)
		return 0;
	blanks = strspn(*s + n, " \t");
	if (blanks)
		*s += n + blanks;
	return blanks != 0;
}

int
lists_read(struct lists *l, char const *file, char const **why,
    char const **bad)
{
	/* kept: definitions point into it */
	static stralloc text = STRALLOC_ZERO;
	size_t i;
	int r = control_list(file, &text);

	if (r != 1)
		return r == 0 ? 1 : -1;
	for (i = 0; i < text.len; i += strlen(text.s + i) + 1) {
		char const *s = text.s + i + strspn(text.s + i, " \t");
		enum lists_kind kind = starts(&s, "allow") ? LISTS_ALLOW :
		    starts(&s, "name") ? LISTS_NAME : LISTS_BLOCK;

		*bad = text.s + i;
		r = lists_add(l, kind, s, why);
		if (r != 1)
			return r;
	}
	return 1;
}

static int
covers(struct codes const *c, unsigned char const *b)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		if (b[i] < c->low[i] || b[i] > c->high[i])
			return 0;
	return 1;
}

int
lists_judge(struct list const *l, struct ipaddr const *code)
{
	unsigned char const *b = code->b + 12;
	unsigned int i;

	/* RFC 5782 2.3: codes are in 127.0.0.0/8.  A list that was given up
	 * and whose domain somebody bought answers everything otherwise.
	 * 127.255.255.0/24: "you may not ask us", of all big lists. */
	if (!ipaddr_is4(code) || b[0] != 127)
		return LISTS_ERROR;
	if (b[1] == 255 && b[2] == 255)
		return LISTS_ERROR;
	for (i = 0; i < l->codes; i++)
		if (covers(&l->code[i], b))
			return LISTS_LISTED;
	if (l->codes)
		return LISTS_NOT;
	/* the same, of others */
	if (b[1] == 0 && b[2] == 0 && b[3] == 1)
		return LISTS_ERROR;
	return LISTS_LISTED;
}

int
lists_address(struct ipaddr const *ip, stralloc *out)
{
	static char const hex[] = "0123456789abcdef";
	char text[64], *s = text;
	int i;

	if (ipaddr_is4(ip))
		for (i = 15; i >= 12; i--) {
			s += uint_fmt(s, ip->b[i]);
			*s++ = '.';
		}
	else
		for (i = 15; i >= 0; i--) {
			*s++ = hex[ip->b[i] & 15];
			*s++ = '.';
			*s++ = hex[ip->b[i] >> 4];
			*s++ = '.';
		}
	return stralloc_catb(out, text, s - 1 - text) && stralloc_0(out) ?
	    1 : -1;
}

int
lists_question(struct list const *l, char const *what, stralloc *out)
{
	return stralloc_cats(out, what) && stralloc_append(out, '.') &&
	    stralloc_cats(out, l->base) && stralloc_0(out) ? 1 : -1;
}
