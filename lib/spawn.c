#include "lib/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

/* dup2 in the wrong order would overwrite a descriptor that a later pair
 * needs: move every source out of the way of the targets first. */
static int
plan(posix_spawn_file_actions_t *a, struct spawn_fd const *fds,
    unsigned int n, int *moved)
{
	unsigned int i;
	int e = 0;

	for (i = 0; !e && i < n; i++) {
		moved[i] = fcntl(fds[i].from, F_DUPFD_CLOEXEC, 16);
		if (moved[i] == -1)
			e = errno;
		else
			e = posix_spawn_file_actions_adddup2(a, moved[i],
			    fds[i].to);
	}
	return e;
}

pid_t
spawn(char const *const *argv, char const *const *env,
    struct spawn_fd const *fds, unsigned int n)
{
	enum { MOST = 8 };
	posix_spawn_file_actions_t a;
	posix_spawnattr_t t;
	sigset_t all, none;
	int moved[MOST], e;
	unsigned int i;
	pid_t pid = -1;

	if (n > MOST) {
		errno = EINVAL;
		return -1;
	}
	for (i = 0; i < n; i++)
		moved[i] = -1;
	sigfillset(&all);
	sigemptyset(&none);
	e = posix_spawn_file_actions_init(&a);
	if (e)
		goto out;
	e = posix_spawnattr_init(&t);
	if (e)
		goto no_attr;
	posix_spawnattr_setsigdefault(&t, &all);
	posix_spawnattr_setsigmask(&t, &none);
	posix_spawnattr_setflags(&t,
	    POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	e = plan(&a, fds, n, moved);
	if (!e)
		e = posix_spawnp(&pid, argv[0], &a, &t, (char *const *)argv,
		    (char *const *)env);
	for (i = 0; i < n; i++)
		if (moved[i] != -1)
			close(moved[i]);
	posix_spawnattr_destroy(&t);
no_attr:
	posix_spawn_file_actions_destroy(&a);
out:
	if (e) {
		errno = e;
		return -1;
	}
	return pid;
}
