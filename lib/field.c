#include "lib/field.h"

#include <string.h>
#include <strings.h>

#include <skalibs/genalloc.h>

#include "lib/addrlist.h"
#include "lib/smtpaddress.h"

/* A line without its LF: is it the empty one? */
static int
is_empty(char const *s, size_t n)
{
	return n == 0 || (n == 1 && *s == '\r');
}

ssize_t
head_take(struct head *h, char const *s, size_t n)
{
	size_t i = 0, k;
	char const *lf;

	while (!h->ended && i < n) {
		lf = memchr(s + i, '\n', n - i);
		k = lf ? (size_t)(lf + 1 - (s + i)) : n - i;
		if (h->text.len + k > HEAD_MOST) {
			h->too_long = h->ended = 1;
			return (ssize_t)n;
		}
		if (!stralloc_catb(&h->text, s + i, k))
			return -1;
		i += k;
		if (!lf)
			break;
		if (is_empty(h->text.s + h->line, h->text.len - 1 - h->line)) {
			h->text.len = h->line;
			h->ended = 1;
		}
		h->line = h->text.len;
	}
	return (ssize_t)i;
}

int
field_next(char const *s, size_t n, size_t *pos, struct field *f)
{
	char const *end;
	size_t i = 0;

	if (*pos >= n)
		return 0;
	f->s = s + *pos;
	n -= *pos;
	/* RFC 5322 2.2; white space before the colon is obsolete, 4.5 */
	while (i < n && f->s[i] > 32 && f->s[i] < 127 && f->s[i] != ':')
		i++;
	f->name = i;
	while (i < n && (f->s[i] == ' ' || f->s[i] == '\t'))
		i++;
	if (!f->name || i == n || f->s[i] != ':')
		return -1;
	do {
		end = memchr(f->s + i, '\n', n - i);
		i = end ? (size_t)(end + 1 - f->s) : n;
	} while (i < n && (f->s[i] == ' ' || f->s[i] == '\t'));
	f->n = i;
	*pos += i;
	return 1;
}

int
field_is(struct field const *f, char const *name)
{
	return f->name == strlen(name) && !strncasecmp(f->s, name, f->name);
}

/* What stands behind the colon, on one line. */
static int
flatten(stralloc *out, struct field const *f)
{
	char const *s = memchr(f->s, ':', f->n), *end = f->s + f->n;

	while (++s < end)
		if (!stralloc_append(out, *s == '\r' || *s == '\n' ? ' ' : *s))
			return -1;
	return 1;
}

/* The domain that all addresses of a field share.  1, 0, -1. */
static int
one_domain(struct field const *f, stralloc *domain, char const **why)
{
	struct addrlist list = ADDRLIST_ZERO;
	struct addrlist_item const *item;
	stralloc flat = STRALLOC_ZERO;
	size_t i, at;
	int r = flatten(&flat, f);

	*why = "From cannot be read";
	if (r == 1)
		r = addrlist_parse(flat.s, flat.len, &list);
	item = genalloc_s(struct addrlist_item, &list.items);
	domain->len = 0;
	for (i = 0; r == 1 && i < list.items.len / sizeof *item; i++) {
		char const *s;

		if (!item[i].len)
			continue;
		s = list.text.s + item[i].text;
		at = smtpaddress_at(s, item[i].len);
		at += at < item[i].len;
		*why = "From names several domains";
		if (domain->len && (domain->len != item[i].len - at ||
		    strncasecmp(domain->s, s + at, domain->len)))
			r = 0;
		else if (!stralloc_copyb(domain, s + at, item[i].len - at))
			r = -1;
	}
	stralloc_free(&flat);
	stralloc_free(&list.text);
	genalloc_free(struct addrlist_item, &list.items);
	if (r != 1)
		return r;
	*why = "From names no domain";
	for (i = 0; i < domain->len; i++)
		if (domain->s[i] >= 'A' && domain->s[i] <= 'Z')
			domain->s[i] += 'a' - 'A';
	if (!domain->len || memchr(domain->s, 0, domain->len))
		return 0;
	return stralloc_0(domain) ? 1 : -1;
}

int
field_domain(char const *s, size_t n, stralloc *domain, char const **why)
{
	struct field f, from = { 0, 0, 0 };
	size_t pos = 0;
	int r;

	while ((r = field_next(s, n, &pos, &f)) == 1) {
		if (!field_is(&f, "from"))
			continue;
		*why = "there are several From fields";
		if (from.s)
			return 0;
		from = f;
	}
	*why = "a line of the header is no field";
	if (r == -1)
		return 0;
	*why = "there is no From field";
	return from.s ? one_domain(&from, domain, why) : 0;
}
