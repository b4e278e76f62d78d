#include "lib/fullmark.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/bytestr.h>

#include "lib/assign.h"
#include "lib/control.h"
#include "lib/mailbox.h"

#define DIRECTORY "users/full/"
enum { AT = sizeof DIRECTORY - 1, NAME = 64, PATH = AT + NAME + 98 };

static int
path_of(char *path, char const *domain, char const *name, size_t n)
{
	size_t dlen = strlen(domain);

	if (n > NAME || dlen > PATH - AT - NAME - 2)
		return 0;
	memcpy(path, DIRECTORY, AT);
	memcpy(path + AT, name, n);
	path[AT + n] = '@';
	memcpy(path + AT + n + 1, domain, dlen + 1);
	case_lowerb(path + AT, n + 1 + dlen);
	return (n == 0 || mailbox_name_ok(path + AT, n)) &&
	    mailbox_domain_ok(path + AT + n + 1, dlen);
}

int
fullmark_find(char const *domain, char const *name, size_t n)
{
	char path[PATH];
	struct stat st;
	time_t now;

	if (!path_of(path, domain, name, n))
		return 0;
	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	now = time(0);
	return st.st_mtime <= now && now - st.st_mtime < FULLMARK_BELIEVED;
}

int
fullmark_set(char const *domain, char const *name, size_t n)
{
	char path[PATH];
	int fd;

	if (!path_of(path, domain, name, n))
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	futimens(fd, 0);
	close(fd);
	return 1;
}

int
fullmark_clear(char const *domain, char const *name, size_t n)
{
	char path[PATH];

	if (!path_of(path, domain, name, n))
		return 0;
	return unlink(path) == -1 && errno != ENOENT ? -1 : 1;
}

void
fullmark_room(char const *login)
{
	struct assign a = ASSIGN_ZERO;
	char const *at = strrchr(login, '@');
	char key[128];
	size_t n = at ? strlen(at + 1) : 0;

	if (n == 0 || n >= sizeof key)
		return;
	memcpy(key, at + 1, n);
	key[n] = '-';
	if (assign_find(key, n + 1, &a) == 1 && !*a.ext) {
		fullmark_clear(a.user, login, at - login);
		fullmark_clear(a.user, "", 0);
	}
	stralloc_free(&a.sa);
}

int
fullmark_final(void)
{
	unsigned int code = 552;

	if (control_uint("control/overquota", &code) == -1)
		return -1;
	if (code == 552 || code == 452)
		return code == 552;
	errno = EINVAL;
	return -1;
}
