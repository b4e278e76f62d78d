#include "smtpd/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/posixplz.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/spawn.h"

pid_t
program_start(char const *const *argv, enum program_pipe how, int to,
    int *ours)
{
	struct spawn_fd fds[3] = { { -1, 0 }, { 2, 1 }, { -1, to } };
	int p[2], theirs = how == PROGRAM_WRITES;
	pid_t pid = -1;

	fds[0].from = openc_read("/dev/null");
	if (fds[0].from == -1)
		return -1;
	if (pipe2(p, O_CLOEXEC) == 0) {
		fds[2].from = p[theirs];
		pid = spawn(argv, (char const *const *)environ, fds, 3);
		fd_close(p[theirs]);
		if (pid == -1)
			fd_close(p[!theirs]);
		*ours = p[!theirs];
	}
	fd_close(fds[0].from);
	return pid;
}

void
program_hear(int fd, char *text, size_t max, uint64_t until)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char s[256];
	size_t len = 0;

	for (;;) {
		uint64_t now = clock_seconds();
		ssize_t n = 0, i;

		if (now < until && poll(&p, 1, (until - now) * 1000) > 0)
			n = read(fd, s, sizeof s);
		if (n <= 0)
			break;
		for (i = 0; i < n && len < max - 1; i++)
			text[len++] = s[i] < 32 || s[i] > 126 ? '?' : s[i];
	}
	while (len && strchr("? ", text[len-1]))
		len--;
	text[len] = 0;
}

int
program_end(pid_t pid, uint64_t until)
{
	int status;
	pid_t r;

	while ((r = waitpid(pid, &status, WNOHANG)) == 0 &&
	    clock_seconds() < until)
		poll(0, 0, 5);
	if (r == 0) {
		kill(pid, SIGKILL);
		r = waitpid(pid, &status, 0);
	}
	return r == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void
program_log(char const *event, char const *name, int code)
{
	int e = errno;

	log_start("warning", event);
	log_string("program", name);
	if (code == 0)
		log_errno(e);
	else if (code == -1)
		log_string("reason", "killed");
	else
		log_number("exit", code);
}
