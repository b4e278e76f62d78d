#include "users/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/spawn.h"

extern char **environ;

static struct errand {
	pid_t pid;		/* 0: none */
	uint64_t since;
	char const *name;
} errand[ERRAND_MOST];

static int
start(char const *const *argv, char const *s, size_t n, pid_t *pid)
{
	struct spawn_fd fd = { -1, 0 };
	int both[2], e;

	if (pipe2(both, O_CLOEXEC) == -1)
		return -1;
	fd.from = both[0];
	*pid = spawn(argv, (char const *const *)environ, &fd, 1);
	e = errno;
	close(both[0]);
	/* a pipe that is empty takes it; who does not read it will say why */
	if (*pid != -1 && write(both[1], s, n) != (ssize_t)n)
		kill(*pid, SIGKILL);
	close(both[1]);
	errno = e;
	return *pid == -1 ? -1 : 1;
}

int
errand_start(char const *const *argv, char const *s, size_t n, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < ERRAND_MOST; i++) {
		struct errand *e = errand + i;

		if (e->pid)
			continue;
		if (n > ERRAND_BYTES)
			return 0;
		if (start(argv, s, n, &e->pid) == -1) {
			e->pid = 0;
			return -1;
		}
		e->since = now;
		e->name = argv[0];
		return 1;
	}
	return 0;
}

static void
ended(struct errand const *e, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	log_start("warning", "a program failed");
	log_string("program", e->name);
	if (WIFEXITED(status))
		log_number("exit", WEXITSTATUS(status));
	else
		log_string("reason", "killed");
	log_end();
}

unsigned int
errand_reap(uint64_t now)
{
	unsigned int i, busy = 0;
	int status;

	for (i = 0; i < ERRAND_MOST; i++) {
		struct errand *e = errand + i;

		if (!e->pid)
			continue;
		if (now > e->since + ERRAND_PATIENCE)
			kill(e->pid, SIGKILL);
		if (waitpid(e->pid, &status, WNOHANG) == e->pid) {
			ended(e, status);
			e->pid = 0;
		} else
			busy++;
	}
	return busy;
}
