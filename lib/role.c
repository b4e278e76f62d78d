#include "lib/role.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>

/* The user named on the line of that role, NUL-terminated in place; or 0. */
static char *
find_line(char *s, char const *role)
{
	size_t n = strlen(role);
	char *next;

	for (; *s; s = next) {
		next = strchr(s, '\n');
		if (next)
			*next++ = 0;
		else
			next = s + strlen(s);
		if (strncmp(s, role, n) != 0 || !s[n] || !strchr(" \t", s[n]))
			continue;
		s += n + strspn(s + n, " \t");
		s[strcspn(s, " \t\r")] = 0;
		return *s ? s : 0;
	}
	return 0;
}

int
role_find(char const *role, struct role *out)
{
	stralloc all = STRALLOC_ZERO;
	struct passwd *pw = 0;
	char const *name;

	if (!openslurpclose(&all, "conf-users") || !stralloc_0(&all)) {
		stralloc_free(&all);
		return -1;
	}
	errno = 0;
	name = find_line(all.s, role);
	if (name)
		pw = getpwnam(name);
	stralloc_free(&all);
	if (!pw)
		return !name || !errno || errno == ENOENT ? 0 : -1;
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	return 1;
}
