#include "scanq/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/enqueue.h"
#include "lib/filter.h"
#include "lib/signing.h"
#include "lib/spawn.h"
#include "lib/spool.h"

int
handover_next(stralloc *program)
{
	int listed, r = filter_next("scanq", "SCANQ_QUEUE", program, &listed);
	char const *s;

	if (r != 0)
		return r == 1 ? 0 : errno == ENOMEM ? QUEUE_MEMORY :
		    QUEUE_CONFIG;
	s = signing_wanted() ? "dkimsign" : access("bin/queue", X_OK) == 0 ?
	    "queue" : "/var/qmail/bin/qmail-queue";
	return filter_name(program, s) == 1 ? 0 : QUEUE_MEMORY;
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
	int fd = spool_bytes(envelope->s, envelope->len, "", 1);
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
