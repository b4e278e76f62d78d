/* preline: feed a program the message with its three lines in front.
 *
 * For a line "|preline program..." of a .qmail file: the program reads the
 * From line of an mbox, Return-Path and Delivered-To, then the message.
 *
 * Runs as: the recipient.  Reads: the message.  Writes: nothing.
 * Trusts: its arguments and environment.  Trusted by: nobody.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/spawn.h"

#define USAGE "preline [ -dDfFrR ] program [ arg... ]"

extern char **environ;

struct wanted {
	int from, path, delivered;
};

static void
add(stralloc *lines, int wanted, char const *name)
{
	char const *value = getenv(name);

	if (!value)
		strerr_dienotset(EXIT_PERM, name);
	if (wanted && !stralloc_cats(lines, value))
		strerr_diefusys(EXIT_TEMP, "remember ", name);
}

/* A program that does not read all has its reasons: its exit code counts. */
static void
feed(int fd, stralloc const *lines)
{
	char buf[8192];
	size_t n = lines->len;
	ssize_t r;

	if (n && allwrite(fd, lines->s, n) < n)
		return;
	while ((r = read(0, buf, sizeof buf))) {
		if (r == -1 && errno != EINTR)
			strerr_diefusys(EXIT_TEMP, "read message");
		if (r > 0 && allwrite(fd, buf, r) < (size_t)r)
			return;
	}
}

static int
run(char const *const *argv, stralloc const *lines)
{
	struct spawn_fd in = { -1, 0 };
	int p[2], status;
	pid_t pid;

	if (pipecoe(p) == -1)
		strerr_diefusys(EXIT_TEMP, "make a pipe");
	in.from = p[0];
	pid = spawn(argv, (char const *const *)environ, &in, 1);
	if (pid == -1)
		strerr_diefusys(EXIT_TEMP, "run ", argv[0]);
	close(p[0]);
	feed(p[1], lines);
	close(p[1]);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			strerr_diefusys(EXIT_TEMP, "wait for ", argv[0]);
	if (!WIFEXITED(status))
		strerr_dief(EXIT_TEMP, "child crashed: ", argv[0]);
	return WEXITSTATUS(status);
}

int
main(int argc, char const *const *argv)
{
	struct wanted w = { 1, 1, 1 };
	stralloc lines = STRALLOC_ZERO;
	int opt;

	PROG = "preline";
	while ((opt = sgetopt(argc, argv, "dDfFrR")) != -1)
		switch (opt) {
		case 'd': w.delivered = 0; break;
		case 'D': w.delivered = 1; break;
		case 'f': w.from = 0; break;
		case 'F': w.from = 1; break;
		case 'r': w.path = 0; break;
		case 'R': w.path = 1; break;
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	argv += subgetopt_here.ind;
	if (!*argv)
		strerr_dieusage(EXIT_USAGE, USAGE);
	signal(SIGPIPE, SIG_IGN);
	add(&lines, w.from, "UFLINE");
	add(&lines, w.path, "RPLINE");
	add(&lines, w.delivered, "DTLINE");
	return run(argv, &lines);
}
