#include "users/account.h"

#include <errno.h>
#include <string.h>

#include <skalibs/bytestr.h>

#include "lib/control.h"
#include "lib/mailbox.h"
#include "lib/smtpaddress.h"

/* login as user@domain in lower case; *at: offset of the '@'. 1, -1. */
static int
normalize(char const *s, size_t n, stralloc *out, size_t *at)
{
	stralloc domain = STRALLOC_ZERO;
	int r = 1;

	if (!stralloc_copyb(out, s, n))
		return -1;
	case_lowerb(out->s, out->len);
	*at = smtpaddress_at(out->s, n);
	if (*at == n) {
		while (*at && out->s[*at - 1] != '%')
			--*at;
		if (*at)
			out->s[--*at] = '@';
		else
			*at = n;
	}
	if (*at == n) {
		r = control_line("control/defaultvdomain", &domain);
		if (r == 1 && (!stralloc_append(out, '@') ||
		    !stralloc_catb(out, domain.s, domain.len)))
			r = -1;
		stralloc_free(&domain);
	}
	return r == -1 ? -1 : 1;
}

static int
find_domain(char const *domain, size_t n, struct assign *out)
{
	stralloc key = STRALLOC_ZERO;
	int r = -1;

	if (stralloc_copyb(&key, domain, n) && stralloc_append(&key, '-'))
		r = assign_find(key.s, key.len, out);
	stralloc_free(&key);
	/* a wildcard further up ("+" of a catch-all user) is no domain */
	if (r == 1 && (*out->ext || !strchr(out->user, '.')))
		r = 0;
	return r;
}

/* The postmaster's hash has most likely the method of all the others. */
static int
nobody(struct account *out)
{
	int r = vpasswd_find(out->domain.home, "postmaster", 10, &out->pw, 0);

	if (r != 1)
		out->pw.hash = "";
	return 0;
}

int
account_find(char const *login, size_t n, struct account *out)
{
	size_t at;
	int r;

	out->pw.hash = "";
	if (normalize(login, n, &out->login, &at) == -1)
		return -1;
	login = out->login.s;
	n = out->login.len;
	if (at >= n || !mailbox_name_ok(login, at) ||
	    !mailbox_domain_ok(login + at + 1, n - at - 1))
		return 0;
	r = find_domain(login + at + 1, n - at - 1, &out->domain);
	if (r != 1)
		return r;
	r = vpasswd_find(out->domain.home, login, at, &out->pw, 0);
	if (r == 1 && *out->pw.dir != '/') {
		errno = EPROTO;
		r = -1;
	}
	return r == 0 ? nobody(out) : r;
}

void
account_free(struct account *a)
{
	stralloc_free(&a->login);
	stralloc_free(&a->domain.sa);
	stralloc_free(&a->pw.sa);
}
