#include "lib/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <skalibs/bytestr.h>
#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "lib/cdbfile.h"
#include "lib/job.h"
#include "lib/limits.h"

enum { MOST_DOMAIN = 96, MOST_NAME = 64 };	/* vpopmail's limits */

static int
only(char const *s, size_t n, char const *more)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') &&
		    !(s[i] >= '0' && s[i] <= '9') &&
		    (!s[i] || !strchr(more, s[i])))
			return 0;
	return 1;
}

int
mailbox_domain_ok(char const *domain, size_t n)
{
	size_t i;

	if (n == 0 || n > MOST_DOMAIN || !only(domain, n, ".-"))
		return 0;
	if (domain[0] == '.' || domain[n-1] == '.')
		return 0;
	for (i = 1; i < n; i++)
		if (domain[i] == '.' && domain[i-1] == '.')
			return 0;
	return 1;
}

int
mailbox_name_ok(char const *name, size_t n)
{
	return n && n <= MOST_NAME && *name != '.' && only(name, n, "._+=-");
}

/* A directory below the domain's own, whoever made the table. */
static int
dir_ok(char const *dir)
{
	char const *s = dir;

	if (!*dir || *dir == '/')
		return 0;
	while (*s) {
		size_t n = strcspn(s, "/");

		if (n == 2 && s[0] == '.' && s[1] == '.')
			return 0;
		s += n;
		s += *s == '/';
	}
	return 1;
}

static int
fields(struct mailbox *out, char const *s, size_t n)
{
	size_t pos = 0;
	uint64_t flags;

	if (out->kind == 'a')
		return 1;
	if (out->kind == 'd')
		return (out->dir = job_field(s, n, &pos)) != 0;
	if (out->kind != 'u' || !job_field_number(s, n, &pos, &flags))
		return 0;
	out->flags = flags;
	out->dir = job_field(s, n, &pos);
	out->quota = out->dir ? job_field(s, n, &pos) : 0;
	if (out->quota && pos < n)
		out->all = job_field(s, n, &pos);
	return out->quota && out->all && dir_ok(out->dir);
}

int
mailbox_parse(char const *s, size_t n, struct mailbox *out)
{
	struct mailbox m = MAILBOX_ZERO;

	m.sa = out->sa;
	m.sa.len = 0;
	if (!stralloc_copyb(&m.sa, s, n))
		return -1;
	out->sa = m.sa;
	m.dir = m.quota = m.all = "";
	m.kind = n ? *s : 0;
	if (!n || !fields(&m, m.sa.s + 1, n - 1)) {
		errno = EPROTO;
		return -1;
	}
	*out = m;
	return 1;
}

static void
lower(char *to, char const *s, size_t n)
{
	memcpy(to, s, n);
	case_lowerb(to, n);
}

int
mailbox_find(char const *domain, size_t dlen, char const *name, size_t n,
    struct mailbox *out)
{
	static char const dir[] = "users/mailbox/";
	char file[sizeof dir + MOST_DOMAIN + 5], key[LIMIT_ADDRESS];
	stralloc value = STRALLOC_ZERO;
	char *at = file + sizeof dir - 1;
	int fd = -1, r = 0;

	memcpy(file, dir, sizeof dir);
	errno = ENOENT;
	if (dlen <= MOST_DOMAIN) {
		lower(at, domain, dlen);
		memcpy(at + dlen, ".cdb", 5);
		if (mailbox_domain_ok(at, dlen))
			fd = openat(AT_FDCWD, file,
			    O_RDONLY | O_CLOEXEC);
	}
	if (fd == -1)
		return -1;
	if (n <= sizeof key) {
		lower(key, name, n);
		r = cdbfile_read(fd, key, n, &value);
	}
	if (r == 1)
		r = mailbox_parse(value.s, value.len, out);
	stralloc_free(&value);
	fd_close(fd);
	return r;
}
