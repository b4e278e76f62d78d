#include "users/dotfiles.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
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
	DESCRIPTORS = 64,	/* more than usersmake ever has */
	PATH = 4096
};

/* No names of .qmail files. */
#define ALL "+"
#define NOT_ALL "-"

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

/* One process lists the homes of one user: the next home that is asked for is
 * most often the same user's, as all domains are.
 */
static struct {
	pid_t pid;		/* 0: there is none */
	int fd;
	struct role user;
} lister;

static void
put(int fd, char const *s)
{
	size_t n = strlen(s) + 1;

	if (allwrite(fd, s, n) < n)
		_exit(EXIT_TEMP);
}

/* Whether all is said. */
static int
list(char const *home, int fd)
{
	struct dirent *e;
	DIR *d = opendir(home);

	if (!d)
		return errno == ENOENT || errno == ENOTDIR;
	while ((e = readdir(d)))
		if (wanted(e->d_name) && e->d_type != DT_DIR)
			put(fd, e->d_name);
	closedir(d);
	return 1;
}

/* The child: becomes the user, reads names of homes, ends when its parent has
 * no more.  Who hangs is ended by the alarm.
 */
static void
serve(struct role const *user, int fd)
{
	char home[PATH];
	ssize_t n;
	int i;

	/* the tables, and the lock: who hangs must not hold it */
	for (i = 3; i < DESCRIPTORS; i++)
		if (i != fd)
			close(i);
	if (geteuid() == 0 && role_become(user) == -1)
		_exit(EXIT_TEMP);
	while ((n = read(fd, home, sizeof home)) > 0 && !home[n-1]) {
		alarm(SECONDS);
		put(fd, list(home, fd) ? ALL : NOT_ALL);
		alarm(0);
	}
	_exit(EXIT_DONE);
}

/* A lister that hangs in the kernel is left behind. */
static void
end_lister(int how)
{
	if (!lister.pid)
		return;
	close(lister.fd);
	if (how == WNOHANG)
		kill(lister.pid, SIGKILL);
	waitpid(lister.pid, 0, how);
	lister.pid = 0;
}

void
dotfiles_end(void)
{
	end_lister(0);
}

static int
start_lister(uid_t uid, gid_t gid)
{
	int s[2];

	if (lister.pid && lister.user.uid == uid && lister.user.gid == gid)
		return 1;
	end_lister(0);
	lister.user.uid = uid;
	lister.user.gid = gid;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) == -1)
		return -1;
	lister.pid = fork();
	if (lister.pid == 0)
		serve(&lister.user, s[1]);
	close(s[1]);
	lister.fd = s[0];
	if (lister.pid > 0)
		return 1;
	close(s[0]);
	lister.pid = 0;
	return -1;
}

/* The word behind the last name, if it is there. */
static int
ends_with(stralloc const *sa, char const *word)
{
	size_t n = strlen(word) + 1;

	return sa->len >= n && !memcmp(sa->s + sa->len - n, word, n) &&
	    (sa->len == n || !sa->s[sa->len-n-1]);
}

/* 1 at the end; 0 too much, too late, or not all; -1. */
static int
gather(int fd, stralloc *out)
{
	struct pollfd p = { fd, POLLIN, 0 };
	time_t start = time(0);
	ssize_t r;

	while (out->len <= MOST && time(0) - start <= SECONDS) {
		if (ends_with(out, ALL))
			return 1;
		if (ends_with(out, NOT_ALL))
			return 0;
		if (poll(&p, 1, 1000) < 1)
			continue;
		if (!stralloc_readyplus(out, 4096))
			return -1;
		r = read(fd, out->s + out->len, 4096);
		if (r > 0)
			out->len += r;
		else if (r == 0 || errno != EINTR)
			break;
	}
	end_lister(WNOHANG);
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

/* 1; 0: it is not there any more; -1. */
static int
ask(char const *home, uid_t uid, gid_t gid)
{
	size_t n = strlen(home) + 1;

	if (n > PATH) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (start_lister(uid, gid) == -1)
		return -1;
	return send(lister.fd, home, n, MSG_NOSIGNAL) == (ssize_t)n;
}

int
dotfiles_list(char const *home, uid_t uid, gid_t gid, stralloc *out)
{
	int r = ask(home, uid, gid);

	if (r == 0) {		/* its user may have killed it meanwhile */
		end_lister(WNOHANG);
		r = ask(home, uid, gid);
	}
	out->len = 0;
	if (r == 1)
		r = gather(lister.fd, out);
	if (r == -1)
		return -1;
	if (r == 0)
		strerr_warnw("not all .qmail files are known of: ", home);
	trim(out);
	return r;
}
