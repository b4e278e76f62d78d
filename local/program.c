#include "local/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/env.h>

#include "lib/exitcode.h"
#include "lib/limits.h"
#include "lib/spawn.h"
#include "lib/spool.h"
#include "local/environment.h"

extern char **environ;

/* A file that holds the message and nothing else: the queue's own file has
 * envelopes behind it, with other recipients in them.  Each command has one
 * of its own.
 */
static int
private_copy(struct body *b)
{
	struct spool s;
	uint64_t pos = 0;
	char const *from;
	size_t n;
	int r;

	if (spool_open(&s, 0) == -1)
		return -1;
	while ((r = body_bytes(b, &pos, &from, &n)) == 1)
		if ((r = spool_put(&s, from, n)) == -1)
			break;
	if (r == 0)
		return spool_take(&s);
	close(s.fd);
	return -1;
}

static int
message(struct delivery const *d)
{
	int fd;

	if (!d->whole_file)
		return private_copy(d->body);
	fd = fcntl(d->body->fd, F_DUPFD_CLOEXEC, 3);
	if (fd != -1 && lseek(fd, 0, SEEK_SET) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static pid_t
start(struct delivery *d, char const *command, int in, int out)
{
	char const *const argv[] = { "/bin/sh", "-c", command, 0 };
	struct spawn_fd const fds[] = { { in, 0 }, { out, 1 }, { out, 2 } };
	stralloc vars = STRALLOC_ZERO;
	char const *const *base = (char const *const *)environ;
	size_t n = env_len(base);
	char const **env = 0;
	pid_t pid = -1;

	if (environment_of(d, &vars) == 1)
		env = malloc((n + 32) * sizeof *env);
	if (env) {
		env_merge(env, n + 32, base, n, vars.s, vars.len);
		pid = spawn(argv, env, fds, d->capture ? 3 : 1);
	}
	free(env);
	stralloc_free(&vars);
	return pid;
}

/* Nothing is kept of what comes behind this: answers are cut there. */
static int
enough(struct delivery const *d)
{
	return d->outcome.text.len > LIMIT_REPORT;
}

/* What it says, without NULs; the rest is read and forgotten.  1 more may
 * come; 0 that was all.
 */
static int
listen_once(struct delivery *d, int fd)
{
	char buf[4096];
	ssize_t r = read(fd, buf, sizeof buf);
	ssize_t i;

	if (r == -1)
		return errno == EINTR;
	for (i = 0; i < r && !enough(d); i++)
		if (buf[i] && !stralloc_append(&d->outcome.text, buf[i]))
			break;
	return r > 0;
}

/* Until it has ended; what it left running behind it may keep the pipe open
 * for ever, and is not waited for.
 */
static int
attend(struct delivery *d, pid_t pid, int fd, int *status)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int ended = 0, n;
	pid_t r;

	while (!ended) {
		n = poll(&p, 1, 200);
		if (n > 0 && !listen_once(d, fd))
			break;
		if (n == 0 || enough(d))
			ended = waitpid(pid, status, WNOHANG) == pid;
	}
	if (ended) {
		while (!enough(d) && poll(&p, 1, 0) > 0 &&
		    listen_once(d, fd))
			;
		return 1;
	}
	do
		r = waitpid(pid, status, 0);
	while (r == -1 && errno == EINTR);
	return r == pid ? 1 : -1;
}

static int
verdict(struct delivery *d, int status)
{
	if (!WIFEXITED(status))
		return outcome_temp(&d->outcome,
		    "Aack, child crashed. (#4.3.0)\n");
	switch (WEXITSTATUS(status)) {
	case EXIT_DONE:
		return 1;
	case EXIT_STOP:
		return 0;
	/* EX_USAGE, EX_DATAERR, EX_SOFTWARE, EX_PROTOCOL, EX_NOPERM,
	 * EX_CONFIG of sysexits.h, and qmail-command(8)'s 112 */
	case EXIT_PERM:
	case 64: case 65: case 70: case 76: case 77: case 78: case 112:
		d->outcome.letter = 'D';
		return -1;
	}
	d->outcome.letter = 'Z';
	return -1;
}

static int
run(struct delivery *d, char const *command, int in)
{
	int pipes[2] = { -1, -1 }, status, r;
	pid_t pid;

	if (d->capture && pipe2(pipes, O_CLOEXEC) == -1)
		return outcome_errno(&d->outcome, "make a pipe", "");
	pid = start(d, command, in, pipes[1]);
	if (pid == -1)
		outcome_errno(&d->outcome, "run", "/bin/sh");
	if (d->capture)
		close(pipes[1]);
	if (pid == -1)
		r = -1;
	else if (d->capture)
		r = attend(d, pid, pipes[0], &status);
	else
		r = waitpid(pid, &status, 0) == pid ? 1 : -1;
	if (pid != -1)
		r = r == 1 ? verdict(d, status) :
		    outcome_errno(&d->outcome, "wait for", "/bin/sh");
	if (d->capture)
		close(pipes[0]);
	return r;
}

int
program_run(struct delivery *d, char const *command)
{
	int in = message(d);
	int r;

	if (in == -1)
		return outcome_errno(&d->outcome,
		    d->whole_file ? "rewind message" : "copy message", "");
	r = run(d, command, in);
	close(in);
	return r;
}
