#include "users/account.h"

#include <errno.h>
#include <string.h>

#include "lib/loginname.h"
#include "lib/mailbox.h"

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
	stralloc *name = &out->login;
	size_t at;
	int r;

	out->pw.hash = "";
	if (loginname(login, n, name, &at) == -1)
		return -1;
	if (at >= name->len || !mailbox_name_ok(name->s, at) ||
	    !mailbox_domain_ok(name->s + at + 1, name->len - at - 1))
		return 0;
	r = assign_domain(name->s + at + 1, name->len - at - 1, &out->domain);
	if (r != 1)
		return r;
	/* whatever name of his domain he comes by, he is counted once */
	name->len = at + 1;
	if (!stralloc_cats(name, out->domain.user))
		return -1;
	r = vpasswd_find(out->domain.home, name->s, at, &out->pw, 0);
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
