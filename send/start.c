#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/selfpipe.h>
#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/role.h"

enum { GRACE = 5000 };	/* ms for the spawners, after send has ended */

struct child {
	char const *argv[3];
	struct role as;
	int fd[2];		/* its 0 and -1; or, for send, its 3 and 4 */
	int is_send;
	pid_t pid;		/* 0: has ended */
};

static char *environment[3];

static void
make_environment(void)
{
	static char path[1024], home[1024];
	char const *p = getenv("PATH");
	int n = snprintf(path, sizeof path, "PATH=%s",
	    p ? p : "/usr/local/bin:/usr/bin:/bin");

	if (n >= (int)sizeof path ||
	    snprintf(home, sizeof home, "POSTERN_HOME=%s", home_path()) >=
	    (int)sizeof home)
		strerr_dief1x(EXIT_USAGE, "PATH or POSTERN_HOME is too long");
	environment[0] = path;
	environment[1] = home;
}

/* Away from the low numbers that children get theirs at. */
static int
high(int fd)
{
	int h = fcntl(fd, F_DUPFD_CLOEXEC, 16);

	if (h == -1)
		strerr_diefu1sys(EXIT_TEMP, "duplicate a descriptor");
	close(fd);
	return h;
}

static int
place(struct child const *c)
{
	if (!c->is_send)
		return dup2(c->fd[0], 0);
	if (dup2(c->fd[0], 3) == -1 || dup2(c->fd[1], 4) == -1)
		return -1;
	/* without us nobody passes signals on, and a second one may start */
	return prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static void
child(struct child const *c, pid_t parent)
{
	sigset_t none;

	PROG = c->argv[0];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, 0);
	if (role_become(&c->as) == -1)
		strerr_diefu1sys(EXIT_TEMP, "become its user");
	if (place(c) == -1)
		strerr_diefu1sys(EXIT_TEMP, "place descriptors");
	if (c->is_send && getppid() != parent)
		_exit(EXIT_TEMP);
	execve(c->argv[0], (char *const *)c->argv, environment);
	strerr_diefu1sys(EXIT_TEMP, "run it");
}

static void
launch(struct child *c)
{
	pid_t parent = getpid();

	c->pid = fork();
	if (c->pid == -1)
		strerr_diefu1sys(EXIT_TEMP, "fork");
	if (c->pid == 0)
		child(c, parent);
}

static void
role_or_die(char const *name, struct role *out)
{
	int r = role_find(name, out);

	if (r == -1)
		strerr_diefu2sys(EXIT_TEMP, "look up role ", name);
	if (r == 0)
		strerr_dief2x(EXIT_TEMP, "no user in conf-users for role ",
		    name);
}

/* qmail-start's way: what all of them say goes to a logger of our own. */
static pid_t
start_logger(char const *const *argv)
{
	struct role as;
	int fd[2];
	pid_t pid;

	role_or_die("log", &as);
	if (pipe2(fd, O_CLOEXEC) == -1)
		strerr_diefu1sys(EXIT_TEMP, "make a pipe");
	pid = fork();
	if (pid == -1)
		strerr_diefu1sys(EXIT_TEMP, "fork");
	if (pid == 0) {
		if (dup2(fd[0], 0) == -1 || role_become(&as) == -1)
			strerr_diefu1sys(EXIT_TEMP, "become the logger's user");
		execvp(argv[0], (char *const *)argv);
		strerr_diefu2sys(EXIT_TEMP, "run ", argv[0]);
	}
	if (dup2(fd[1], 1) == -1 || dup2(fd[1], 2) == -1)
		strerr_diefu1sys(EXIT_TEMP, "duplicate a descriptor");
	close(fd[0]);
	close(fd[1]);
	return pid;
}

enum { LSPAWN, RSPAWN, SEND, CHILDREN };

static void
start_all(struct child *c)
{
	int local[2], remote[2], i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, local) == -1
	    || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, remote)
	    == -1)
		strerr_diefu1sys(EXIT_TEMP, "make a socket pair");
	c[LSPAWN].fd[0] = high(local[0]);
	c[RSPAWN].fd[0] = high(remote[0]);
	c[SEND].fd[0] = high(local[1]);
	c[SEND].fd[1] = high(remote[1]);
	for (i = 0; i < CHILDREN; i++)
		launch(&c[i]);
	for (i = 0; i < CHILDREN; i++)
		close(c[i].fd[0]);
	close(c[SEND].fd[1]);
}

/* Which have ended; send's exit code into *code. */
static int
reap(struct child *c, int *code)
{
	int status, i, left = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < CHILDREN; i++)
			if (c[i].pid == pid) {
				c[i].pid = 0;
				if (i == SEND)
					*code = WIFEXITED(status) ?
					    WEXITSTATUS(status) : EXIT_TEMP;
			}
	for (i = 0; i < CHILDREN; i++)
		left += c[i].pid != 0;
	return left;
}

/* Until send has ended, and the spawners, which end without it once their
 * deliveries have.  They may take longer than we wait.
 */
static int
wait_for(struct child *c, int signals)
{
	struct pollfd p = { signals, POLLIN, 0 };
	int code = EXIT_TEMP, sig;

	while (reap(c, &code)) {
		int r = poll(&p, 1, c[SEND].pid ? -1 : GRACE);

		if (r == 0 || (r == -1 && errno != EINTR))
			break;
		while ((sig = selfpipe_read()) > 0)
			if (sig != SIGCHLD && c[SEND].pid > 0)
				kill(c[SEND].pid, sig == SIGINT ? SIGTERM :
				    sig);
	}
	return code;
}

static int
catch_signals(void)
{
	int fd = selfpipe_init();

	if (fd == -1 || !selfpipe_trap(SIGCHLD) || !selfpipe_trap(SIGTERM) ||
	    !selfpipe_trap(SIGHUP) || !selfpipe_trap(SIGALRM) ||
	    !selfpipe_trap(SIGINT) || !sig_ignore(SIGPIPE))
		strerr_diefu1sys(EXIT_TEMP, "catch signals");
	return fd;
}

/* start: starts send, lspawn and rspawn, each as its user, connects them, and
 * waits.  TERM, HUP and ALRM are passed on to send.
 *
 * Runs as:    root
 * Reads:      conf-users
 * Writes:     nothing
 * Trusts:     the administrator's arguments
 * Trusted by: everybody: it is root
 */
int
main(int argc, char const *const *argv)
{
	static struct child c[CHILDREN] = {
		{ .argv = { "bin/lspawn" } }, { .argv = { "bin/rspawn" } },
		{ .argv = { "bin/send" }, .is_send = 1 }
	};
	int signals, code;
	pid_t logger = 0;

	PROG = "start";
	if (geteuid() != 0)
		strerr_dief1x(EXIT_USAGE, "must be run as root");
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "chdir to ", home_path());
	umask(077);
	make_environment();
	role_or_die("remote", &c[RSPAWN].as);
	role_or_die("send", &c[SEND].as);
	if (argc > 1 && *argv[1])
		c[LSPAWN].argv[1] = argv[1];
	signals = catch_signals();
	if (argc > 2)
		logger = start_logger(argv + 2);
	start_all(c);
	code = wait_for(c, signals);
	if (logger) {
		close(1);
		close(2);
		waitpid(logger, 0, 0);
	}
	return code;
}
