#include "scanq/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/control.h"
#include "lib/enqueue.h"
#include "lib/home.h"
#include "lib/signing.h"
#include "lib/spawn.h"
#include "scanq/intake.h"

/* Relative names are the home directory's: our caller's directory is not. */
static int
name_program(stralloc *program, char const *s)
{
	if (*s == '/')
		return stralloc_copys(program, s) && stralloc_0(program);
	return stralloc_copys(program, home_path()) &&
	    stralloc_cats(program, strchr(s, '/') ? "/" : "/bin/") &&
	    stralloc_cats(program, s) && stralloc_0(program);
}

static int
is_scanq(char const *s)
{
	char const *slash = strrchr(s, '/');

	return !strcmp(slash ? slash + 1 : s, "scanq");
}

/* The entry behind ours.  1, 0, -1. */
static int
next_filter(stralloc *program)
{
	stralloc list = STRALLOC_ZERO;
	int r = control_list("control/queuefilters", &list), ours = 0;
	size_t i;

	if (r == 1) {
		r = 0;
		for (i = 0; i < list.len; i += strlen(list.s + i) + 1) {
			if (ours) {
				r = name_program(program, list.s + i) ? 1 : -1;
				break;
			}
			ours = is_scanq(list.s + i);
		}
	}
	stralloc_free(&list);
	return r;
}

int
handover_next(stralloc *program)
{
	char const *s = getenv("SCANQ_QUEUE");
	int r;

	if (s && *s)
		return name_program(program, s) ? 0 : QUEUE_MEMORY;
	r = next_filter(program);
	if (r == -1)
		return QUEUE_CONFIG;
	if (r == 1)
		return 0;
	s = signing_wanted() ? "dkimsign" : access("bin/queue", X_OK) == 0 ?
	    "queue" : "/var/qmail/bin/qmail-queue";
	return name_program(program, s) ? 0 : QUEUE_MEMORY;
}

int
handover_exec(char const *program, int message, stralloc const *envelope)
{
	extern char **environ;
	char *argv[2] = { (char *)program, 0 };
	int fd = intake_file(envelope->s, envelope->len, "", 1);

	if (fd == -1)
		return QUEUE_MEMORY;
	if (fd_move(1, fd) == -1 || dup2(message, 0) == -1)
		return QUEUE_MEMORY;
	signal(SIGPIPE, SIG_DFL);
	alarm(0);
	execve(program, argv, environ);
	return QUEUE_EXEC;
}

static int
reap(pid_t pid)
{
	int status, r;

	do
		r = waitpid(pid, &status, 0);
	while (r == -1 && errno == EINTR);
	return r != -1 && WIFEXITED(status) ? WEXITSTATUS(status) :
	    QUEUE_DEFERRED;
}

int
handover_run(char const *program, int message, stralloc const *envelope,
    int quiet)
{
	extern char **environ;
	char const *argv[2] = { program, 0 };
	struct spawn_fd fds[4] = { { message, 0 }, { -1, 1 } };
	int fd = intake_file(envelope->s, envelope->len, "", 1);
	int null = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	unsigned int n = 2;
	int code = QUEUE_MEMORY;
	pid_t pid;

	/* quarantine.h's lines come first, and alerts are for people here */
	setenv("DKIMSIGN", "0", 1);
	if (fd != -1 && (!quiet || null != -1)) {
		fds[1].from = fd;
		if (quiet) {
			fds[n++] = (struct spawn_fd){ null, 4 };
			fds[n++] = (struct spawn_fd){ null, 6 };
		}
		pid = spawn(argv, (char const *const *)environ, fds, n);
		code = pid == -1 ? QUEUE_EXEC : reap(pid);
	}
	if (fd != -1)
		close(fd);
	if (null != -1)
		close(null);
	return code;
}
