#include "tools/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/spawn.h"

extern char **environ;

/* Until its end, or the time.  1 it has ended; 0 */
static int
collect(int fd, uint64_t until, stralloc *out)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char s[4096];
	ssize_t r;
	size_t n;

	while (clock_ms() < until && poll(&p, 1, until - clock_ms()) > 0) {
		r = read(fd, s, sizeof s);
		if (r == 0)
			return 1;
		if (r == -1)
			continue;
		n = ASK_MOST - out->len;
		if (!stralloc_catb(out, s, (size_t)r < n ? (size_t)r : n))
			return 0;
	}
	return 0;
}

static pid_t
begin(char const *const *argv, int *from)
{
	int p[2], nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct spawn_fd fds[3] = { { nothing, 0 }, { -1, 1 }, { -1, 2 } };
	pid_t pid;

	if (nothing == -1)
		return -1;
	if (pipe2(p, O_CLOEXEC) == -1) {
		close(nothing);
		return -1;
	}
	fds[1].from = fds[2].from = p[1];
	pid = spawn(argv, (char const *const *)environ, fds, 3);
	close(nothing);
	close(p[1]);
	*from = p[0];
	if (pid == -1)
		close(p[0]);
	return pid;
}

int
ask(char const *const *argv, unsigned int seconds, stralloc *out)
{
	int fd, status = 0;
	pid_t pid = begin(argv, &fd);

	out->len = 0;
	if (pid == -1)
		return -1;
	if (!collect(fd, clock_ms() + seconds * 1000, out))
		kill(pid, SIGKILL);
	close(fd);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (!stralloc_0(out))
		return -1;
	out->len--;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ASK_KILLED;
}

char *
ask_line(stralloc *text, size_t *pos)
{
	char *s = text->s + *pos, *lf;

	if (*pos >= text->len)
		return 0;
	lf = memchr(s, '\n', text->len - *pos);
	if (!lf) {
		*pos = text->len;
		return s;
	}
	*lf = 0;
	*pos = lf + 1 - text->s;
	return s;
}
