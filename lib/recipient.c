#include "lib/recipient.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>

#include <skalibs/bytestr.h>
#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>

#include "lib/assign.h"
#include "lib/cdbfile.h"
#include "lib/fullmark.h"
#include "lib/limits.h"
#include "lib/mailbox.h"
#include "lib/route.h"
#include "lib/smtpaddress.h"

enum { SYSTEM_UIDS = 1000 };	/* below: accounts that nobody reads mail in */

/* Marked as full, and has a quota still? */
static int
is_full(struct mailbox const *m, char const *domain, char const *name,
    size_t n)
{
	int r = 0;

	if (*m->quota >= '0' && *m->quota <= '9')
		r = fullmark_find(domain, name, n);
	if (r == 0 && *m->all)
		r = fullmark_find(domain, "", 0);
	return r;
}

static int
verdict(struct mailbox const *m, char const *domain, char const *name,
    size_t n)
{
	int r;

	if (m->kind == 'u' && m->flags & MAILBOX_BOUNCE)
		return RECIPIENT_DISABLED;
	if (m->kind == 'u') {
		r = is_full(m, domain, name, n);
		if (r == 1)
			r = fullmark_final();
		else if (r == 0)
			return RECIPIENT_YES;
		return r == -1 ? RECIPIENT_TROUBLE :
		    r == 1 ? RECIPIENT_OVER : RECIPIENT_FULL;
	}
	if (m->kind == 'd' && strcmp(m->dir, "bounce-no-mailbox") == 0)
		return RECIPIENT_NO;
	return RECIPIENT_YES;
}

/* The user or alias of that name, then aliases "list-default" for "list-x",
 * then what the domain does with unknown names.
 */
static int
in_domain(char const *domain, char const *name, size_t n)
{
	struct mailbox m = MAILBOX_ZERO;
	char key[LIMIT_ADDRESS + sizeof "default"];
	size_t dlen = strlen(domain), i = n;
	int r;

	if (n > LIMIT_ADDRESS)		/* by the prefix that assign adds */
		return RECIPIENT_NO;
	r = n ? mailbox_find(domain, dlen, name, n, &m) : 0;
	while (r == 0 && i) {
		if (name[--i] != '-')
			continue;
		memcpy(key, name, i + 1);
		memcpy(key + i + 1, "default", sizeof "default");
		r = mailbox_find(domain, dlen, key, i + sizeof "default", &m);
		if (r == 1 && m.kind != 'a')
			r = 0;
	}
	if (r == 0 && n)
		r = mailbox_find(domain, dlen, "", 0, &m);
	if (r == 1)
		r = verdict(&m, domain, name, n);
	stralloc_free(&m.sa);
	return r;
}

/* usersmake's table (INTERNALS 5); key is the local part in lower case. */
static int
in_names(int fd, char const *local, size_t n)
{
	stralloc value = STRALLOC_ZERO;
	char key[LIMIT_ADDRESS + 1];
	size_t i;
	int r;

	memcpy(key + 1, local, n);
	case_lowerb(key + 1, n);
	*key = '=';
	r = cdbfile_read(fd, key, n + 1, &value);
	*key = '+';
	for (i = n + 1; r == 0 && i; i--)
		r = cdbfile_read(fd, key, i, &value);
	if (r == 1)
		r = value.len == 1 && *value.s == 'y' ?
		    RECIPIENT_YES : RECIPIENT_NO;
	else
		r = r == 0 ? RECIPIENT_FOREIGN : RECIPIENT_TROUBLE;
	stralloc_free(&value);
	return r;
}

static int
in_system(char const *local, size_t n)
{
	char name[LIMIT_ADDRESS + 1];
	struct passwd *pw;

	if (memchr(local, 0, n))
		return RECIPIENT_NO;
	memcpy(name, local, n);
	name[n] = 0;
	case_lowerb(name, n);
	errno = 0;
	pw = getpwnam(name);
	if (!pw && errno && errno != ENOENT)
		return RECIPIENT_TROUBLE;
	return pw && pw->pw_uid >= SYSTEM_UIDS ? RECIPIENT_YES : RECIPIENT_NO;
}

/* A local part of this host, with the prefix of a virtual domain if any. */
static int
local_part(char const *local, size_t n)
{
	struct assign a = ASSIGN_ZERO;
	int r, fd;

	if (n == 0)
		return RECIPIENT_NO;
	r = assign_find(local, n, &a);
	if (r == 1 && strchr(a.user, '.')) {
		/* vpopmail's "+domain-:domain:...": not a system user */
		r = in_domain(a.user, a.ext, strlen(a.ext));
		stralloc_free(&a.sa);
		if (r != -1 || errno != ENOENT)
			return r;
	} else
		stralloc_free(&a.sa);
	if (r == -1 && errno != ENOENT)
		return RECIPIENT_TROUBLE;
	fd = openat(AT_FDCWD, "users/names.cdb", O_RDONLY | O_CLOEXEC);
	if (fd == -1 && errno != ENOENT)
		return RECIPIENT_TROUBLE;
	r = fd != -1 ? in_names(fd, local, n) : RECIPIENT_FOREIGN;
	if (fd != -1)
		fd_close(fd);
	return r == RECIPIENT_FOREIGN ? in_system(local, n) : r;
}

/* The tables of one connection: a change is seen by the next one.  0: errno. */
static struct route const *
tables(char const *s, size_t n)
{
	static struct route r = ROUTE_ZERO;
	static int domains, all;

	if (smtpaddress_at(s, n) == n || memchr(s, '%', n)) {
		if (!all && route_load(&r) == -1)
			return 0;
		domains = all = 1;
	} else {
		if (!domains && route_load_domains(&r) == -1)
			return 0;
		domains = 1;
	}
	return &r;
}

int
recipient_check(char const *s, size_t n)
{
	stralloc to = STRALLOC_ZERO;
	struct route const *routes;
	size_t prefix;
	int r;

	if (n > LIMIT_ADDRESS)
		return RECIPIENT_NO;
	routes = tables(s, n);
	if (!routes)
		return RECIPIENT_TROUBLE;
	r = route_address(routes, s, n, &to, &prefix);
	if (r == 0)
		r = RECIPIENT_FOREIGN;
	else if (r == 1) {
		n = smtpaddress_at(to.s, to.len);
		r = n > LIMIT_ADDRESS ? RECIPIENT_NO : local_part(to.s, n);
	}
	stralloc_free(&to);
	return r;
}
