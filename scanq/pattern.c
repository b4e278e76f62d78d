#include "scanq/pattern.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <skalibs/types.h>

/* A pattern on its way to an expression. */
struct reader {
	char const *s;
	size_t n;
	size_t i;
	stralloc *out;
	char const *why;
	unsigned int depth;
};

static int
put(struct reader *r, char const *s, size_t n)
{
	return stralloc_catb(r->out, s, n) ? 1 : -1;
}

static int
wrong(struct reader *r, char const *why)
{
	r->why = why;
	return 0;
}

static int
is_punctuation(char c)
{
	return c > 32 && c < 127 && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
	    c) != 0;
}

/* What \d and its like stand for inside of brackets; 0: no such class. */
static char const *
class_of(char c)
{
	switch (c) {
	case 'd': return "0-9";
	case 'w': return "A-Za-z0-9_";
	case 's': return " \t\r\n\f\v";
	default: return 0;
	}
}

static int
hex_digit(char c)
{
	char const *digits = "0123456789abcdef";
	char const *p = strchr(digits, c | 32);

	return c && p ? (int)(p - digits) : -1;
}

/* One byte behind a backslash that stands for itself: punctuation, \t, \xHH.
 * r->i is behind the backslash.  1, 0.
 */
static int
escaped(struct reader *r, char *out)
{
	char c;

	if (r->i == r->n)
		return wrong(r, "\\ at the end");
	c = r->s[r->i++];
	if (is_punctuation(c))
		*out = c;
	else if (c == 't')
		*out = '\t';
	else if (c == 'x' && r->n - r->i >= 2 &&
	    hex_digit(r->s[r->i]) >= 0 && hex_digit(r->s[r->i + 1]) >= 0) {
		*out = (char)(hex_digit(r->s[r->i]) << 4 |
		    hex_digit(r->s[r->i + 1]));
		r->i += 2;
		if (!*out)
			return wrong(r, "\\x00 cannot be matched");
	} else {
		return wrong(r, "unknown \\ sequence");
	}
	return 1;
}

static int
put_literal(struct reader *r, char c)
{
	if (strchr(".[]()|*+?{}^$\\", c) && put(r, "\\", 1) == -1)
		return -1;
	return put(r, &c, 1);
}

/* One member of a bracket expression: a byte that needs care in POSIX goes to
 * first, last or caret.
 */
struct set {
	int bracket, hyphen, caret;
	stralloc *body;
};

static int
set_add(struct set *b, char c)
{
	if (c == ']')
		b->bracket = 1;
	else if (c == '-')
		b->hyphen = 1;
	else if (c == '^')
		b->caret = 1;
	else
		return stralloc_append(b->body, c) ? 1 : -1;
	return 1;
}

static int
set_member(struct reader *r, struct set *b)
{
	char c = r->s[r->i++];
	char const *class;
	int k;

	if (c == '\\') {
		if (r->i < r->n && (class = class_of(r->s[r->i]))) {
			r->i++;
			return stralloc_cats(b->body, class) ? 1 : -1;
		}
		k = escaped(r, &c);
		return k == 1 ? set_add(b, c) : k;
	}
	if (c == '[' && r->i < r->n && strchr(":.=", r->s[r->i])) {
		char const *end = memchr(r->s + r->i, ']', r->n - r->i);

		if (!end)
			return wrong(r, "[: without :]");
		k = stralloc_catb(b->body, r->s + r->i - 1,
		    (size_t)(end + 1 - (r->s + r->i - 1))) ? 1 : -1;
		r->i = (size_t)(end + 1 - r->s);
		return k;
	}
	/* a range keeps its hyphen */
	if (r->n - r->i >= 2 && r->s[r->i] == '-' && r->s[r->i + 1] != ']' &&
	    r->s[r->i + 1] != '\\' && c != ']' && c != '-') {
		k = stralloc_catb(b->body, r->s + r->i - 1, 3) ? 1 : -1;
		r->i += 2;
		return k;
	}
	return set_add(b, c);
}

static int
put_set(struct reader *r, struct set const *b, int not)
{
	/* a lone ^ must not come first */
	if (b->caret && !not && !b->bracket && !b->body->len && !b->hyphen)
		return put(r, "\\^", 2);
	if (put(r, not ? "[^" : "[", not ? 2 : 1) == -1 ||
	    (b->bracket && put(r, "]", 1) == -1) ||
	    put(r, b->body->s, b->body->len) == -1)
		return -1;
	if (b->caret && !b->bracket && !b->body->len && !not)
		return put(r, "-^]", 3);	/* [-^] */
	if ((b->caret && put(r, "^", 1) == -1) ||
	    (b->hyphen && put(r, "-", 1) == -1))
		return -1;
	return put(r, "]", 1);
}

static int
bracket(struct reader *r)
{
	stralloc body = STRALLOC_ZERO;
	struct set b = { 0, 0, 0, &body };
	int not = 0, k = 1, first = 1;

	if (r->i < r->n && r->s[r->i] == '^') {
		not = 1;
		r->i++;
	}
	while (k == 1 && r->i < r->n && (first || r->s[r->i] != ']')) {
		first = 0;
		k = set_member(r, &b);
	}
	if (k == 1 && r->i == r->n)
		k = wrong(r, "[ without ]");
	r->i++;
	if (k == 1)
		k = put_set(r, &b, not);
	stralloc_free(&body);
	return k;
}

static int
backslash(struct reader *r)
{
	char c = r->i < r->n ? r->s[r->i] : 0;
	char lower = c | 32;
	char const *class = class_of(lower);
	int k;

	if (class && (c == lower || c == (lower & ~32))) {
		r->i++;
		if (put(r, c == lower ? "[" : "[^", c == lower ? 1 : 2) == -1)
			return -1;
		return put(r, class, strlen(class)) == 1 ? put(r, "]", 1) : -1;
	}
	k = escaped(r, &c);
	return k == 1 ? put_literal(r, c) : k;
}

/* {m}, {m,}, {m,n}; a brace that is none of these is a brace, as in Perl. */
static int
brace(struct reader *r)
{
	char const *s = r->s + r->i;
	char const *end = memchr(s, '}', r->n - r->i);
	size_t i, digits = 0;

	for (i = 0; end && s + i < end; i++) {
		if (s[i] >= '0' && s[i] <= '9')
			digits++;
		else if (s[i] != ',' || !digits)
			end = 0;
	}
	if (!end || !digits)
		return put_literal(r, '{');
	r->i += (size_t)(end + 1 - s);
	return put(r, "{", 1) == 1 ? put(r, s, (size_t)(end + 1 - s)) : -1;
}

static int
parenthesis(struct reader *r)
{
	if (r->i < r->n && r->s[r->i] == '?') {
		if (r->n - r->i < 2 || r->s[r->i + 1] != ':')
			return wrong(r, "(? other than (?: and a first (?i)");
		r->i += 2;
	}
	if (++r->depth > 32)
		return wrong(r, "too many parentheses");
	return put(r, "(", 1);
}

/* Perl's lazy and possessive repeats match the same whole values. */
static int
repeat(struct reader *r, char c)
{
	int k = c == '{' ? brace(r) : put(r, &c, 1);

	if (k == 1 && r->i < r->n && (r->s[r->i] == '?' || r->s[r->i] == '+'))
		r->i++;
	/* as Perl has it; and each doubles what it repeats in glibc */
	if (k == 1 && r->i < r->n && strchr("*+?", r->s[r->i]))
		return wrong(r, "repeats of repeats");
	return k;
}

static int
translate(struct reader *r)
{
	int k = put(r, "^(", 2);
	char c;

	while (k == 1 && r->i < r->n) {
		c = r->s[r->i++];
		if (c == '\\')
			k = backslash(r);
		else if (c == '[')
			k = bracket(r);
		else if (c == '(')
			k = parenthesis(r);
		else if (c == ')' && !r->depth)
			k = wrong(r, ") without (");
		else if (c == '*' || c == '+' || c == '?' || c == '{')
			k = repeat(r, c);
		else if (c == ']' || c == '}')
			k = put_literal(r, c);
		else
			k = put(r, &c, 1);
		r->depth -= c == ')' && k == 1;
	}
	if (k == 1 && r->depth)
		k = wrong(r, "( without )");
	return k == 1 ? put(r, ")$", 3) : k;	/* with its NUL */
}

/* How many copies of its atoms does an expression ask for?  Repeats of groups
 * multiply: an upper bound is kept for each open group.
 */
static int
too_many_copies(char const *s)
{
	unsigned long at[34] = { 1 }, worst = 1;
	unsigned int depth = 0, m, most;
	unsigned long last = 1;

	for (; *s; s++) {
		if (*s == '\\' && s[1]) {
			s++;
			last = 1;
		} else if (*s == '(' && depth < 33) {
			at[++depth] = 1;
		} else if (*s == ')' && depth) {
			last = at[depth--];
			if (last > at[depth])
				at[depth] = last;
		} else if (*s == '{') {
			most = 0;
			while (*++s && *s != '}') {
				size_t k = uint_scan(s, &m);

				if (k && m > most)
					most = m;
				s += k ? k - 1 : 0;
			}
			if (most > 255)
				return 1;
			last *= most ? most : 1;
			if (last > at[depth])
				at[depth] = last;
			if (!*s)
				break;
		} else {
			last = 1;
		}
		if (last > worst)
			worst = last;
		if (worst > PATTERN_COPIES)
			return 1;
	}
	return 0;
}

/* Is it text, but for ".*" at its ends?  Then p->text holds it, and 1. */
static int
read_text(struct pattern *p, char const *s, size_t n)
{
	size_t i;

	p->text.len = 0;
	if (n >= 2 && !memcmp(s, ".*", 2)) {
		p->head = 1;
		s += 2;
		n -= 2;
	}
	if (n >= 2 && !memcmp(s + n - 2, ".*", 2) &&
	    (n < 3 || s[n - 3] != '\\')) {
		p->tail = 1;
		n -= 2;
	}
	for (i = 0; i < n; i++) {
		if (s[i] == '\\' && i + 1 < n && is_punctuation(s[i + 1]))
			i++;
		else if (strchr(".[]()|*+?{}^$\\", s[i]))
			break;
		if (!stralloc_append(&p->text, s[i]))
			return -1;
	}
	if (i == n)
		return 1;
	p->head = p->tail = 0;
	p->text.len = 0;
	return 0;
}

/* ".{N,}" */
static int
read_long(struct pattern *p, char const *s, size_t n)
{
	unsigned int u;
	size_t k;
	char c[16];

	if (n < 5 || n > sizeof c || memcmp(s, ".{", 2) ||
	    memcmp(s + n - 2, ",}", 2))
		return 0;
	memcpy(c, s + 2, n - 4);
	c[n - 4] = 0;
	k = uint0_scan(c, &u);
	if (!k)
		return 0;
	p->least = u;
	return 1;
}

/* An anchor at either end says what is so anyway. */
static void
strip_anchors(char const **s, size_t *n)
{
	if (*n && **s == '^') {
		++*s;
		--*n;
	}
	if (*n && (*s)[*n - 1] == '$' && (*n < 2 || (*s)[*n - 2] != '\\') &&
	    !memchr(*s, '|', *n))
		--*n;
}

int
pattern_read(struct pattern *p, char const *s, size_t n, char const **why)
{
	struct reader r = { 0, 0, 0, &p->text, 0, 0 };
	int k;

	p->nocase = p->head = p->tail = p->compiled = 0;
	p->text.len = 0;
	*why = "longer than 1024 bytes";
	if (n > PATTERN_LENGTH)
		return 0;
	*why = "holds a NUL";
	if (memchr(s, 0, n))
		return 0;
	if (n >= 4 && !memcmp(s, "(?i)", 4)) {
		p->nocase = 1;
		s += 4;
		n -= 4;
	}
	strip_anchors(&s, &n);
	p->kind = PATTERN_LONG;
	if (read_long(p, s, n))
		return 1;
	p->kind = PATTERN_TEXT;
	k = read_text(p, s, n);
	if (k)
		return k;
	p->kind = PATTERN_REGEX;
	r.s = s;
	r.n = n;
	k = translate(&r);
	if (k == 1 && too_many_copies(p->text.s))
		k = wrong(&r, "repeats more than 255 times, or too often");
	*why = r.why;
	return k;
}

int
pattern_compile(struct pattern *p, char const **why)
{
	int flags = REG_EXTENDED | REG_NOSUB | (p->nocase ? REG_ICASE : 0);
	int r;

	if (p->kind != PATTERN_REGEX || p->compiled)
		return 1;
	r = regcomp(&p->regex, p->text.s, flags);
	if (r == REG_ESPACE) {
		errno = ENOMEM;
		return -1;
	}
	*why = "not a regular expression";
	p->compiled = !r;
	return !r;
}

static int
same(struct pattern const *p, char const *s)
{
	if (!p->text.len)
		return 1;
	if (p->nocase)
		return !strncasecmp(s, p->text.s, p->text.len);
	return !memcmp(s, p->text.s, p->text.len);
}

static int
match_text(struct pattern const *p, char const *s, size_t n)
{
	size_t len = p->text.len, i;

	if (n < len)
		return 0;
	if (!p->head)
		return (p->tail || n == len) && same(p, s);
	if (!p->tail)
		return same(p, s + n - len);
	if (!p->nocase)
		return !len || memmem(s, n, p->text.s, len) != 0;
	for (i = 0; i + len <= n; i++)
		if (same(p, s + i))
			return 1;
	return 0;
}

/* The matcher takes a string: a NUL in a value counts as \x01. */
static int
match_regex(struct pattern *p, char const *s, size_t n)
{
	static char value[PATTERN_VALUE + 1];
	char const *why;
	size_t i;
	int r = pattern_compile(p, &why);

	if (r != 1) {
		errno = r == 0 ? EINVAL : errno;
		return -1;
	}
	if (n > PATTERN_VALUE)
		n = PATTERN_VALUE;
	for (i = 0; i < n; i++)
		value[i] = s[i] ? s[i] : 1;
	value[n] = 0;
	r = regexec(&p->regex, value, 0, 0, 0);
	if (r == REG_ESPACE) {
		errno = ENOMEM;
		return -1;
	}
	return r == 0;
}

int
pattern_match(struct pattern *p, char const *s, size_t n)
{
	switch (p->kind) {
	case PATTERN_TEXT: return match_text(p, s, n);
	case PATTERN_LONG: return n >= p->least;
	default: return match_regex(p, s, n);
	}
}

void
pattern_free(struct pattern *p)
{
	if (p->compiled)
		regfree(&p->regex);
	p->compiled = 0;
	stralloc_free(&p->text);
}
