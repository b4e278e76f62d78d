#include "dkim/fields.h"

#include <string.h>
#include <strings.h>

#include <skalibs/genalloc.h>

#include "dkim/canon.h"
#include "lib/addrlist.h"
#include "lib/smtpaddress.h"

/* How a name stands in h=: once for each field of that name, from the last
 * one up, and once more for none, so that nobody can add another one in
 * front, which readers show and signatures do not cover (RFC 6376 8.15).
 */
enum over {
	PRESENT,		/* no more than there are */
	IF_ANY,			/* once more, if there is one */
	ALWAYS			/* and if there is none */
};

static struct {
	char const *name;
	enum over over;
} const wanted[] = {
	{ "from", ALWAYS }, { "reply-to", ALWAYS }, { "to", ALWAYS },
	{ "cc", ALWAYS }, { "subject", ALWAYS }, { "date", IF_ANY },
	{ "message-id", IF_ANY }, { "in-reply-to", IF_ANY },
	{ "references", IF_ANY }, { "mime-version", IF_ANY },
	{ "content-type", IF_ANY }, { "content-transfer-encoding", IF_ANY },
	/* lists add and change these */
	{ "list-id", PRESENT }, { "list-help", PRESENT },
	{ "list-unsubscribe", PRESENT }, { "list-unsubscribe-post", PRESENT },
	{ "list-subscribe", PRESENT }, { "list-post", PRESENT },
	{ "list-owner", PRESENT }, { "list-archive", PRESENT }
};

/* RFC 5322 allows one of nearly each. */
enum { SAME = 3 };

int
fields_next(char const *s, size_t n, size_t *pos, struct field *f)
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

static int
is_named(struct field const *f, char const *name)
{
	return f->name == strlen(name) && !strncasecmp(f->s, name, f->name);
}

/* The domain that all addresses of a field share.  1, 0, -1. */
static int
one_domain(struct field const *f, stralloc *domain, char const **why)
{
	struct addrlist list = ADDRLIST_ZERO;
	struct addrlist_item const *item;
	stralloc flat = STRALLOC_ZERO;
	size_t i, at;
	int r = canon_field(&flat, f->s, f->n);

	*why = "From cannot be read";
	if (r == 1)
		r = addrlist_parse(flat.s + f->name + 1,
		    flat.len - f->name - 3, &list);
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
fields_domain(char const *s, size_t n, stralloc *domain, char const **why)
{
	struct field f, from = { 0, 0, 0 };
	size_t pos = 0;
	int r;

	while ((r = fields_next(s, n, &pos, &f)) == 1) {
		if (!is_named(&f, "from"))
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

/* The last SAME fields of that name, the last one first; their number. */
static unsigned int
last_of(char const *s, size_t n, char const *name, struct field found[SAME])
{
	struct field f;
	size_t pos = 0;
	unsigned int count = 0;

	while (fields_next(s, n, &pos, &f) == 1) {
		if (!is_named(&f, name))
			continue;
		memmove(found + 1, found, (SAME - 1) * sizeof f);
		found[0] = f;
		count += count < SAME;
	}
	return count;
}

static int
add_name(stralloc *names, char const *name)
{
	return (!names->len || stralloc_append(names, ':')) &&
	    stralloc_cats(names, name) ? 1 : -1;
}

int
fields_signed(char const *s, size_t n, stralloc *names, stralloc *text)
{
	struct field found[SAME];
	unsigned int count, j;
	size_t i;

	names->len = text->len = 0;
	for (i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		count = last_of(s, n, wanted[i].name, found);
		for (j = 0; j < count; j++)
			if (add_name(names, wanted[i].name) == -1 ||
			    canon_field(text, found[j].s, found[j].n) == -1)
				return -1;
		if ((wanted[i].over == ALWAYS ||
		    (wanted[i].over == IF_ANY && count)) && count < SAME &&
		    add_name(names, wanted[i].name) == -1)
			return -1;
	}
	return 1;
}
