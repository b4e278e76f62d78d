#include "lib/sender.h"

#include <string.h>
#include <strings.h>

#include "lib/assign.h"
#include "lib/control.h"
#include "lib/smtpaddress.h"

struct address {
	char const *s;
	size_t n, at;
};

static struct address
address(char const *s, size_t n)
{
	struct address a = { s, n, smtpaddress_at(s, n) };

	return a;
}

static int
equal(char const *a, size_t n, char const *b, size_t m)
{
	return n == m && strncasecmp(a, b, n) == 0;
}

/* An address, @domain, or *. */
static int
matches(char const *pattern, size_t n, struct address const *a)
{
	if (n == 1 && *pattern == '*')
		return 1;
	return equal(pattern, n, a->s, a->n) || (n && *pattern == '@' &&
	    equal(pattern, n, a->s + a->at, a->n - a->at));
}

static int
listed(stralloc const *list, struct address const *user,
    struct address const *sender)
{
	size_t i, n;

	for (i = 0; i < list->len; i += n + 1) {
		char const *s = list->s + i, *colon;

		n = strlen(s);
		colon = memchr(s, ':', n);
		if (colon && matches(s, colon - s, user) &&
		    matches(colon + 1, s + n - colon - 1, sender))
			return 1;
	}
	return 0;
}

/* Are these names of one virtual domain?  1, 0, -1. */
static int
one_domain(char const *a, size_t n, char const *b, size_t m)
{
	struct assign x = ASSIGN_ZERO, y = ASSIGN_ZERO;
	int r = assign_domain(a, n, &x);

	if (r == 1)
		r = assign_domain(b, m, &y);
	if (r == 1)
		r = strcmp(x.user, y.user) == 0;
	stralloc_free(&x.sa);
	stralloc_free(&y.sa);
	return r;
}

static int
is_me(char const *s, size_t n)
{
	stralloc me = STRALLOC_ZERO;
	int r = control_line("control/me", &me);

	if (r == 1)
		r = equal(s, n, me.s, me.len);
	stralloc_free(&me);
	return r;
}

int
sender_owned(stralloc const *list, stralloc const *user,
    stralloc const *sender)
{
	struct address u = address(user->s, user->len);
	struct address s = address(sender->s, sender->len);

	if (!s.n || equal(u.s, u.n, s.s, s.n) || listed(list, &u, &s))
		return 1;
	if (s.at == s.n || !equal(u.s, u.at, s.s, s.at))
		return 0;
	if (u.at == u.n)
		return is_me(s.s + s.at + 1, s.n - s.at - 1);
	return one_domain(u.s + u.at + 1, u.n - u.at - 1, s.s + s.at + 1,
	    s.n - s.at - 1);
}

/* Does a line give that user an address of the domain? */
static int
some_listed(stralloc const *list, struct address const *user,
    char const *domain, size_t n)
{
	struct address a;
	size_t i, len;
	char const *s, *colon;

	for (i = 0; i < list->len; i += len + 1) {
		s = list->s + i;
		len = strlen(s);
		colon = memchr(s, ':', len);
		if (!colon || !matches(s, colon - s, user))
			continue;
		a = address(colon + 1, s + len - colon - 1);
		if ((a.n == 1 && *a.s == '*') || (a.at < a.n &&
		    equal(a.s + a.at + 1, a.n - a.at - 1, domain, n)))
			return 1;
	}
	return 0;
}

int
sender_domain(stralloc const *list, stralloc const *user, char const *domain,
    size_t n)
{
	struct address u = address(user->s, user->len);

	if (some_listed(list, &u, domain, n))
		return 1;
	if (u.at == u.n)
		return is_me(domain, n);
	if (equal(u.s + u.at + 1, u.n - u.at - 1, domain, n))
		return 1;
	return one_domain(u.s + u.at + 1, u.n - u.at - 1, domain, n);
}
