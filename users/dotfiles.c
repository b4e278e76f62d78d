#include "users/dotfiles.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/role.h"

enum {
	MOST = 1048576,		/* bytes of names from one home */
	SECONDS = 20,		/* for one home, maybe on a dead server */
	DESCRIPTORS = 64	/* more than usersmake ever has */
};

static int
wanted(char const *name)
{
	size_t i;

	if (strncmp(name, ".qmail", 6))
		return 0;
	for (i = 6; name[i]; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			return 0;
	return 1;
}

/* The child: becomes the user, writes the names, ends. */
static void
list(char const *home, uid_t uid, gid_t gid, int out)
{
	struct role const user = { uid, gid };
	struct dirent *e;
	DIR *d;
	int fd;

	/* the tables, and the lock: who hangs must not hold it */
	for (fd = 3; fd < DESCRIPTORS; fd++)
		if (fd != out)
			close(fd);
	alarm(SECONDS);
	if (geteuid() == 0 && role_become(&user) == -1)
		_exit(EXIT_TEMP);
	d = opendir(home);
	if (!d)
		_exit(errno == ENOENT || errno == ENOTDIR ? EXIT_DONE :
		    EXIT_TEMP);
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name) + 1;

		if (wanted(e->d_name) && e->d_type != DT_DIR &&
		    allwrite(out, e->d_name, n) < n)
			_exit(EXIT_TEMP);
	}
	_exit(EXIT_DONE);
}

/* 1 at the end; 0 too much or too late; -1. */
static int
gather(int fd, stralloc *out)
{
	struct pollfd p = { fd, POLLIN, 0 };
	time_t start = time(0);
	ssize_t r;

	while (out->len <= MOST && time(0) - start <= SECONDS) {
		if (poll(&p, 1, 1000) < 1)
			continue;
		if (!stralloc_readyplus(out, 4096))
			return -1;
		r = read(fd, out->s + out->len, 4096);
		if (r == 0)
			return 1;
		if (r > 0)
			out->len += r;
		else if (errno != EINTR)
			return -1;
	}
	return 0;
}

/* Leaves of "NAME" what follows ".qmail", whole names only: the bytes come
 * from a process that the user owns.
 */
static void
trim(stralloc *sa)
{
	size_t from, n, to = 0;
	char *s, *end;

	for (from = 0; from < sa->len; from += n) {
		s = sa->s + from;
		end = memchr(s, 0, sa->len - from);
		if (!end)
			break;
		n = end - s + 1;
		if (!wanted(s))
			continue;
		memmove(sa->s + to, s + 6, n - 6);
		for (s = sa->s + to; *s; s++)
			if (*s == ':')
				*s = '.';
		to += n - 6;
	}
	sa->len = to;
}

static int
collect(pid_t pid, int fd, stralloc *out, char const *home)
{
	int status, r = gather(fd, out);

	close(fd);
	if (r != 1)
		kill(pid, SIGKILL);
	/* a child that hangs in the kernel is left behind */
	if (waitpid(pid, &status, r == 1 ? 0 : WNOHANG) == pid && r == 1 &&
	    (!WIFEXITED(status) || WEXITSTATUS(status)))
		r = 0;
	if (r == 0)
		strerr_warnw("not all .qmail files are known of: ", home);
	trim(out);
	return r;
}

int
dotfiles_list(char const *home, uid_t uid, gid_t gid, stralloc *out)
{
	int p[2];
	pid_t pid;

	out->len = 0;
	if (pipecoe(p) == -1)
		return -1;
	pid = fork();
	if (pid == 0)
		list(home, uid, gid, p[1]);
	close(p[1]);
	if (pid == -1) {
		close(p[0]);
		return -1;
	}
	return collect(pid, p[0], out, home);
}
