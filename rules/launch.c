#include "rules/launch.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/exitcode.h"

enum { SLOTS = 8 };		/* execs under way */

struct launch_program {
	char const *const *argv;
	char path[PATH_MAX];
	int found;
};

static struct {
	struct launch_program program[2];
	char const *refusal;
	int ignored[NSIG];	/* signals to be reset */
	unsigned int n;
	struct launch slot[SLOTS];
} state;

void
launch_init(char const *const *argv, char const *const *other,
    char const *refusal)
{
	struct sigaction was;
	int i;

	state.program[0].argv = argv;
	state.program[1].argv = other;
	state.refusal = refusal;
	for (i = 1; i < NSIG; i++)
		if (i == SIGPIPE || (sigaction(i, 0, &was) == 0 &&
		    was.sa_handler == SIG_IGN))
			state.ignored[state.n++] = i;
}

static int
left(struct launch const *l)
{
	return __atomic_load_n(&l->leaving, __ATOMIC_ACQUIRE) == 0;
}

/* A child that was killed before its first instruction has told nobody. */
static int
ended(struct launch const *l)
{
	siginfo_t s;

	s.si_pid = 0;
	return waitid(P_PID, l->pid, &s, WEXITED | WNOHANG | WNOWAIT) == -1 ||
	    s.si_pid != 0;
}

static void
wait_for(struct launch *l)
{
	struct timespec const a_while = { 0, 10000000 };
	pid_t is;

	while ((is = __atomic_load_n(&l->leaving, __ATOMIC_ACQUIRE)) != 0)
		if (syscall(SYS_futex, &l->leaving, FUTEX_WAIT, is, &a_while,
		    0, 0) == -1 && errno == ETIMEDOUT && ended(l))
			l->leaving = 0;
}

struct launch *
launch_slot(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (left(state.slot + i) && !state.slot[i].error)
			return state.slot + i;
	wait_for(state.slot);
	return state.slot;
}

/* Where the program is.  The first time, and after it could not be executed:
 * then no child may still read the path. */
static void
find_program(struct launch_program *p)
{
	char const *dir = getenv("PATH"), *name = p->argv[0];
	size_t n;
	int i;

	for (i = 0; i < SLOTS; i++)
		wait_for(state.slot + i);
	p->found = 1;
	if (!dir)
		dir = "/usr/bin:/bin";
	for (; !strchr(name, '/'); dir += n + 1) {
		n = strcspn(dir, ":");
		if (n < PATH_MAX && snprintf(p->path, PATH_MAX, "%.*s%s%s",
		    (int)n, dir, n ? "/" : "", name) < PATH_MAX &&
		    access(p->path, X_OK) == 0)
			return;
		if (!dir[n])
			break;
	}
	snprintf(p->path, PATH_MAX, "%s", name);
}

/* In our memory, beside us: nothing but system calls on what is in the slot.
 * errno is shared, and only a failing exec touches it. */
static int
child(void *slot)
{
	struct launch *l = slot;
	struct sigaction reset = { .sa_handler = SIG_DFL };
	sigset_t none;
	unsigned int i;
	ssize_t r;

	/* not a flag of clone: musl from 1.2.4 on refuses that one */
	syscall(SYS_set_tid_address, &l->leaving);
	for (i = 0; i < state.n; i++)
		sigaction(state.ignored[i], &reset, 0);
	dup2(l->fd, 0);
	dup2(l->fd, 1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, 0);
	execve(l->program->path, (char *const *)l->program->argv,
	    (char *const *)l->env.all);
	l->error = errno;
	if (state.refusal) {
		r = write(1, state.refusal, strlen(state.refusal));
		(void)r;
	}
	_exit(EXIT_TEMP);
}

pid_t
launch_start(struct launch *l, unsigned int which, int fd)
{
	pid_t pid;

	l->program = state.program + which;
	if (!l->program->found)
		find_program(state.program + which);
	l->fd = fd;
	l->error = 0;
	l->leaving = 1;
	pid = clone(child, l->stack + LAUNCH_STACK, CLONE_VM | SIGCHLD, l);
	if (pid == -1)
		l->leaving = 0;
	else
		l->pid = pid;
	return pid;
}

int
launch_ended(pid_t pid)
{
	unsigned int i;
	int e;

	for (i = 0; i < SLOTS; i++) {
		struct launch *l = state.slot + i;

		if (l->pid != pid)
			continue;
		__atomic_store_n(&l->leaving, 0, __ATOMIC_RELEASE);
		l->pid = 0;
		e = l->error;
		l->error = 0;
		if (e)
			state.program[l->program - state.program].found = 0;
		return e;
	}
	return 0;
}
