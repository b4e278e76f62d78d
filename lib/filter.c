#include "lib/filter.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/control.h"
#include "lib/enqueue.h"
#include "lib/home.h"
#include "lib/spool.h"

/* Relative names are the home directory's: our caller's directory is not. */
int
filter_name(stralloc *program, char const *s)
{
	program->len = 0;
	if (*s != '/' && (!stralloc_cats(program, home_path()) ||
	    !stralloc_cats(program, strchr(s, '/') ? "/" : "/bin/")))
		return -1;
	return stralloc_cats(program, s) && stralloc_0(program) ? 1 : -1;
}

static int
is_self(char const *s, char const *self)
{
	char const *slash = strrchr(s, '/');

	return !strcmp(slash ? slash + 1 : s, self);
}

int
filter_next(char const *self, char const *variable, stralloc *program,
    int *listed)
{
	stralloc list = STRALLOC_ZERO;
	char const *s = getenv(variable);
	size_t i;
	int r;

	*listed = 0;
	if (s && *s)
		return filter_name(program, s);
	r = control_list("control/queuefilters", &list);
	if (r == 1) {
		r = 0;
		for (i = 0; i < list.len; i += strlen(list.s + i) + 1) {
			if (*listed) {
				r = filter_name(program, list.s + i);
				break;
			}
			*listed = is_self(list.s + i, self);
		}
	}
	stralloc_free(&list);
	return r;
}

int
filter_run(char const *program)
{
	extern char **environ;
	char *argv[2] = { (char *)program, 0 };

	signal(SIGPIPE, SIG_DFL);
	alarm(0);
	execve(program, argv, environ);
	return QUEUE_EXEC;
}

int
filter_exec(char const *program, int message, stralloc const *envelope)
{
	int fd = spool_bytes(envelope->s, envelope->len, "", 1);

	if (fd == -1)
		return QUEUE_MEMORY;
	if (fd_move(1, fd) == -1 || dup2(message, 0) == -1)
		return QUEUE_MEMORY;
	return filter_run(program);
}
