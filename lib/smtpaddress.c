#include "lib/smtpaddress.h"

#include <string.h>

#include "lib/limits.h"

/* What is read, and what came out of it so far. */
struct scan {
	char const *s;
	size_t n, pos;
	size_t len;
	int at;			/* an '@' outside quotes has been read */
	int quote;		/* quotes or backslashes, since that '@' */
	char address[LIMIT_ADDRESS];
};

static char const letters[] = "abcdefghijklmnopqrstuvwxyz"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static int
in(char const *set, char c)
{
	return c && strchr(set, c);
}

/* RFC 5322 3.2.3 */
static int
is_atext(char c)
{
	return in(letters, c) || in("!#$%&'*+-/=?^_`{|}~", c);
}

static int
is_printable(char c)
{
	return c >= 32 && c < 127;
}

/* The character at the scanner, or NUL at the end. */
static char
peek(struct scan const *p)
{
	return p->pos < p->n ? p->s[p->pos] : 0;
}

static int
keep(struct scan *p, char c)
{
	if (!is_printable(c) || p->len == sizeof p->address)
		return 0;
	p->address[p->len++] = c;
	p->pos++;
	return 1;
}

/* A backslash and what it quotes. */
static int
pair(struct scan *p)
{
	p->pos++;
	return keep(p, peek(p));
}

/* The opening quote up to the closing one. */
static int
quoted(struct scan *p)
{
	p->pos++;
	while (peek(p) != '"')
		if (!(peek(p) == '\\' ? pair(p) : keep(p, peek(p))))
			return 0;
	p->pos++;
	return 1;
}

/* "[" up to "]": only where a domain may stand. */
static int
literal(struct scan *p)
{
	if (!p->len || p->address[p->len-1] != '@')
		return 0;
	while (peek(p) != ']')
		if (!keep(p, peek(p)))
			return 0;
	return keep(p, ']');
}

/* Local part and domain, up to what cannot belong to them. */
static int
mailbox(struct scan *p)
{
	for (;;) {
		char c = peek(p);
		int good;

		if (c == '@') {
			p->at = 1;
			p->quote = 0;
		} else if (c == '"' || c == '\\')
			p->quote = 1;
		if (c == '"')
			good = quoted(p);
		else if (c == '\\')
			good = pair(p);
		else if (c == '[')
			return literal(p);
		else if (is_atext(c) || c == '.' || c == '@')
			good = keep(p, c);
		else
			return 1;
		if (!good)
			return 0;
	}
}

/* "@a,@b:" in front of a mailbox. */
static int
source_route(struct scan *p)
{
	int bracket = 0;
	char c;

	if (peek(p) != '@')
		return 1;
	while ((c = peek(p)) != ':' || bracket) {
		if (!in(letters, c) && !in("@,.-_[]:", c))
			return 0;
		if (c == '[' || c == ']')
			bracket = c == '[';
		p->pos++;
	}
	p->pos++;
	return 1;
}

/* Labels of RFC 1035 2.3.4 lengths; underscores are in use. */
static int
is_name(char const *s, size_t n)
{
	size_t i, label = 0;

	if (n > 255)
		return 0;
	for (i = 0; i < n; i++) {
		if (s[i] == '.') {
			if (!label)
				return 0;
			label = 0;
		} else if ((!in(letters, s[i]) && !in("-_", s[i])) ||
		    ++label > 63)
			return 0;
	}
	return label != 0;
}

/* "[]" is the domain of qmail's double bounces and VERP senders. */
static int
is_domain(char const *s, size_t n)
{
	size_t i;

	if (n < 2 || *s != '[')
		return is_name(s, n);
	for (i = 1; i < n - 1; i++)
		if (!in(letters, s[i]) && !in(".:-", s[i]))
			return 0;
	return s[n-1] == ']';
}

/* Judged as the queue will read it: by what stands behind the last '@',
 * wherever that came from. */
static int
is_address(char const *s, size_t n)
{
	size_t at = smtpaddress_at(s, n);

	return at && (at == n || is_domain(s + at + 1, n - at - 1));
}

static int
path(struct scan *p)
{
	int angle;

	while (peek(p) == ' ')
		p->pos++;
	angle = peek(p) == '<';
	p->pos += angle;
	if (!angle || peek(p) != '>') {
		if (!source_route(p) || !mailbox(p) || (p->at && p->quote) ||
		    !is_address(p->address, p->len))
			return 0;
	}
	if (angle && peek(p) != '>')
		return 0;
	p->pos += angle;
	return p->pos == p->n || p->s[p->pos] == ' ';
}

int
smtpaddress_parse(char const *arg, size_t n, stralloc *out, size_t *rest)
{
	struct scan p;

	p.s = arg;
	p.n = n;
	p.pos = p.len = 0;
	p.at = p.quote = 0;
	if (!path(&p))
		return 0;
	if (!stralloc_copyb(out, p.address, p.len))
		return -1;
	*rest = p.pos;
	return 1;
}

size_t
smtpaddress_at(char const *s, size_t n)
{
	size_t i = n;

	while (i)
		if (s[--i] == '@')
			return i;
	return n;
}

int
smtpaddress_detours(char const *local, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (in("%!@", local[i]))
			return 1;
	return 0;
}

/* Bytes above 127 are those of RFC 6531's atext. */
static int
is_dot_string(char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] == '.') {
			if (!i || i == n - 1 || s[i-1] == '.')
				return 0;
		} else if (!is_atext(s[i]) && !((unsigned char)s[i] & 128))
			return 0;
	return n != 0;
}

static int
put_quoted(char const *s, size_t n, stralloc *out)
{
	size_t i;

	if (!stralloc_append(out, '"'))
		return -1;
	for (i = 0; i < n; i++) {
		if (in("\"\\", s[i]) && !stralloc_append(out, '\\'))
			return -1;
		if (!stralloc_append(out, s[i]))
			return -1;
	}
	return stralloc_append(out, '"') ? 1 : -1;
}

int
smtpaddress_quote(char const *s, size_t n, stralloc *out)
{
	size_t at = smtpaddress_at(s, n), i;

	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] < 32 || s[i] == 127)
			return 0;
	if (!n)
		return 1;
	if (is_dot_string(s, at))
		return stralloc_catb(out, s, n) ? 1 : -1;
	if (put_quoted(s, at, out) == -1)
		return -1;
	return stralloc_catb(out, s + at, n - at) ? 1 : -1;
}
