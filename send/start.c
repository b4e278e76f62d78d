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

#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/packet.h"
#include "lib/role.h"

enum { LSPAWN, RSPAWN, SPAWNERS, SEND = SPAWNERS, CHILDREN };

enum {
	FROM = 3,		/* send's descriptors: one of each spawner, */
	NEWS = FROM + SPAWNERS,	/* and one of ours for each */
	GRACE = 5000,		/* ms for the spawners, after send has ended */
	/* ms until a spawner that died gets a successor; twice as many after
	 * each that did not live for long */
	PAUSE = 1000,
	PAUSE_MOST = 60000,
	LONG = 60000
};

struct child {
	char const *argv[3];
	struct role as;
	int fd;			/* a spawner's 0 */
	pid_t pid;		/* 0: has ended */
	int status;		/* of the one that has ended */
	uint64_t born, again;	/* again: when to start the next one; 0 */
	unsigned int pause;
};

/* Ends of pairs, by spawner. */
static int from[SPAWNERS];	/* for send: to the spawner */
static int news[SPAWNERS];	/* for send: where a new spawner's end comes */
static int tell[SPAWNERS];	/* ours: into news */

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

/* Moves it away from the low numbers that children get theirs at.  It, or -1:
 * then it is closed.
 */
static int
high(int fd)
{
	int h = fcntl(fd, F_DUPFD_CLOEXEC, 16);

	close(fd);
	return h;
}

/* A spawner's or send's own, of which the rest is close-on-exec. */
static int
place(struct child const *c)
{
	int i;

	if (c->fd != -1)
		return dup2(c->fd, 0);
	for (i = 0; i < SPAWNERS; i++)
		if (dup2(from[i], FROM + i) == -1 ||
		    dup2(news[i], NEWS + i) == -1)
			return -1;
	/* without us nobody passes signals on, and a second one may start */
	return prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static void
fail(int report, char const *what)
{
	int e = errno;
	ssize_t r = write(report, "", 1);

	(void)r;
	errno = e;
	strerr_diefu1sys(EXIT_TEMP, what);
}

static void
child(struct child const *c, pid_t parent, int report)
{
	sigset_t none;

	PROG = c->argv[0];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, 0);
	if (role_become(&c->as) == -1)
		fail(report, "become its user");
	if (place(c) == -1)
		fail(report, "place descriptors");
	if (c->fd == -1 && getppid() != parent)
		_exit(EXIT_TEMP);
	execve(c->argv[0], (char *const *)c->argv, environment);
	fail(report, "run it");
}

/* 1 it runs; 0 it could not be run, and will end; -1 no process was to be
 * had.
 */
static int
launch(struct child *c)
{
	pid_t parent = getpid(), pid;
	int report[2];
	char byte;

	c->born = clock_ms();
	if (pipe2(report, O_CLOEXEC) == -1)
		return -1;
	report[1] = high(report[1]);
	pid = report[1] == -1 ? -1 : fork();
	if (pid == 0)
		child(c, parent, report[1]);
	close(report[1]);
	if (pid != -1) {
		c->pid = pid;
		c->again = 0;
	}
	if (pid != -1 && read(report[0], &byte, 1) == 1)
		pid = 0;
	close(report[0]);
	return pid > 0 ? 1 : pid;
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

static int
pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd);
}

/* Sockets between send and spawner i, or between us and send. */
static void
connect_them(int *one, int *other)
{
	int fd[2];

	if (pair(fd) == -1)
		strerr_diefu1sys(EXIT_TEMP, "make a socket pair");
	*one = high(fd[0]);
	*other = high(fd[1]);
	if (*one == -1 || *other == -1)
		strerr_diefu1sys(EXIT_TEMP, "duplicate a descriptor");
}

static void
start_all(struct child *c)
{
	int i;

	for (i = 0; i < SPAWNERS; i++) {
		connect_them(&c[i].fd, &from[i]);
		connect_them(&tell[i], &news[i]);
	}
	for (i = 0; i < CHILDREN; i++)
		if (launch(&c[i]) == -1)
			strerr_diefu1sys(EXIT_TEMP, "fork");
	for (i = 0; i < SPAWNERS; i++) {
		close(c[i].fd);
		close(from[i]);
		close(news[i]);
	}
}

/* Starts a spawner in the place of one that died; send gets its socket.  If
 * send does not take it, the spawner ends again, and there is a next time.
 */
static int
replace(struct child *c, int to_send)
{
	int fd[2], r;

	if (pair(fd) == -1)
		return -1;
	c->fd = fd[0];
	r = launch(c);
	if (r == 1)
		packet_send(to_send, "", 1, fd[1]);
	close(fd[0]);
	close(fd[1]);
	return r;
}

/* When there will be another one. */
static void
put_off(struct child *c)
{
	uint64_t now = clock_ms();

	if (!c->pause || now - c->born >= LONG)
		c->pause = PAUSE;
	else if (c->pause < PAUSE_MOST)
		c->pause = c->pause * 2 < PAUSE_MOST ? c->pause * 2 :
		    PAUSE_MOST;
	c->again = now + c->pause;
}

static void
complain(struct child const *c)
{
	int killed = WIFSIGNALED(c->status);
	char how[16];

	snprintf(how, sizeof how, "%d", killed ? WTERMSIG(c->status) :
	    WEXITSTATUS(c->status));
	strerr_warnw(c->argv[0], killed ? " was killed by signal " :
	    " has ended with exit code ", how, ": starting another one");
}

/* Which have ended; send's exit code into *code. */
static int
reap(struct child *c, int *code)
{
	int status, i, left = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < CHILDREN; i++) {
			if (c[i].pid != pid)
				continue;
			c[i].pid = 0;
			c[i].status = status;
			if (i == SEND)
				*code = WIFEXITED(status) ?
				    WEXITSTATUS(status) : EXIT_TEMP;
			else
				put_off(&c[i]);
		}
	for (i = 0; i < CHILDREN; i++)
		left += c[i].pid != 0;
	return left;
}

static void
replace_one(struct child *c, int to_send)
{
	complain(c);
	if (replace(c, to_send) != -1)
		return;
	strerr_warnwu2sys("start ", c->argv[0]);
	put_off(c);
}

/* Starts those whose time has come; ms until the next one, or -1.  Only now is
 * it sure that send has not ended, and with it they.
 */
static int
replace_dead(struct child *c)
{
	uint64_t now = clock_ms();
	int i, wait = -1;

	for (i = 0; i < SPAWNERS; i++) {
		if (c[i].again && c[i].again <= now)
			replace_one(&c[i], tell[i]);
		if (c[i].again && (wait == -1 ||
		    c[i].again - now < (unsigned int)wait))
			wait = c[i].again - now;
	}
	return wait;
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
		int r = poll(&p, 1, c[SEND].pid ? replace_dead(c) : GRACE);

		if ((r == 0 && !c[SEND].pid) || (r == -1 && errno != EINTR))
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
 * waits.  A spawner that died gets a successor.  TERM, HUP and ALRM are passed
 * on to send.
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
		{ .argv = { "bin/send" }, .fd = -1 }
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
