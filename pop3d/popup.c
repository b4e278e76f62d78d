/* popup: the POP3 dialogue before the password.
 *
 * The checkpassword program is started before the first byte is read from the
 * network, waits on descriptor 3, and gets one record of at most 512 bytes.
 * popup then has no rights left, and after a good password no more to say:
 * the program that follows goes on with the connection.
 *
 * Runs as: root at its start, then popup, in an empty root directory, without
 * a file to open or a process to start.  Reads: descriptor 0 up to the line
 * of PASS, control/plaintextauth.  Writes: descriptor 1; the record.  Trusts:
 * nothing that it reads.  Trusted by: nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/io.h"
#include "lib/role.h"
#include "lib/sandbox.h"
#include "lib/spawn.h"
#include "pop3d/login.h"

#define USAGE "popup hostname checkpassword prog..."

enum { TIMEOUT = 120 };		/* nobody is known yet: be short */

extern char **environ;

static char const TEMPORARY[] =
    "-ERR [SYS/TEMP] unable to check passwords now\r\n";

/* Like io's own recv, but never behind the end of a line. */
static ssize_t
recv_line(io *i, char *s, size_t max)
{
	struct pollfd p = { i->in, POLLIN, 0 };
	char *lf;
	ssize_t n;
	int r;

	do {
		uint64_t now = i->now(i);

		if (now >= i->deadline) {
			errno = ETIMEDOUT;
			return -1;
		}
		r = poll(&p, 1, (i->deadline - now) * 1000);
	} while (r == 0 || (r == -1 && errno == EINTR));
	if (r == -1)
		return -1;
	n = recv(i->in, s, max, MSG_PEEK);
	if (n == -1 && errno == ENOTSOCK)
		return read(i->in, s, 1);
	if (n <= 0)
		return n;
	lf = memchr(s, '\n', n);
	return read(i->in, s, lf ? (size_t)(lf - s) + 1 : (size_t)n);
}

/* May passwords cross this connection?  The first byte that is foreign to
 * this question is the client's: all this is read before.
 */
static int
plaintext_allowed(void)
{
	unsigned int value = 0;
	char const *s = getenv("PLAINTEXTAUTH");

	if (getenv("SSL_PROTOCOL") || (s && strcmp(s, "0") != 0))
		return 1;
	if (s)
		return 0;
	if (control_uint("control/plaintextauth", &value) == -1)
		strerr_warnwusys("read control/plaintextauth");
	return value == 1;
}

static pid_t
start_check(char const *const *argv, int *record)
{
	struct spawn_fd fd = { -1, 3 };
	int both[2];
	pid_t pid;

	/* what checkpw calls us; other checkpassword programs look at the
	 * port */
	if (setenv("POSTERN_SERVICE", "pop3", 0) == -1 ||
	    pipe2(both, O_CLOEXEC) == -1)
		return -1;
	fd.from = both[0];
	pid = spawn(argv, (char const *const *)environ, &fd, 1);
	close(both[0]);
	*record = both[1];
	return pid;
}

static void
give_up_rights(void)
{
	struct rlimit none = { 0, 0 };
	struct role popup;
	int found;

	if (geteuid() == 0) {
		found = role_find("popup", &popup);
		if (found != 1)
			strerr_diefu(EXIT_TEMP, "find the user of role popup");
		if (chroot("empty") == -1 || chdir("/") == -1 ||
		    role_become(&popup) == -1)
			strerr_diefusys(EXIT_TEMP, "give up rights");
	}
	/* poll counts its descriptors against RLIMIT_NOFILE: leave it one */
	if (setrlimit(RLIMIT_NPROC, &none) == -1 ||
	    setrlimit(RLIMIT_CORE, &none) == -1 ||
	    sandbox_no_new_privs() == -1)
		strerr_diefusys(EXIT_TEMP, "give up rights");
	none.rlim_cur = none.rlim_max = 1;
	if (setrlimit(RLIMIT_NOFILE, &none) == -1)
		strerr_diefusys(EXIT_TEMP, "give up rights");
}

static void
say(io *i, char const *text)
{
	if (io_puts(i, text) == 1)
		io_flush(i);
}

/* Whether the password was good is the child's to say, by going on or by
 * ending; what it has said itself needs no more.
 */
static void
conclude(io *i, pid_t pid)
{
	int status, code;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_TEMP;
	io_deadline(i, TIMEOUT);
	if (code == 1 || code == 3)	/* vchkpw's is 3 */
		say(i, "-ERR [AUTH] authorization failed\r\n");
	else if (code != 0)
		say(i, TEMPORARY);
}

static void
converse(io *i, struct pop3login *l, pid_t pid, int record)
{
	int r = login_run(i, l, TIMEOUT);
	ssize_t n;

	if (r == 1) {
		/* the pipe takes 512 bytes at once; if the child is gone its
		 * exit code says why */
		n = write(record, l->record, l->used);
		if (n != -1 && n != (ssize_t)l->used)
			strerr_warnwu("hand over the whole login");
		explicit_bzero(l->record, sizeof l->record);
		explicit_bzero(i->in_buf, sizeof i->in_buf);
	}
	close(record);
	if (r == 1) {
		conclude(i, pid);
		return;
	}
	if (r == -1 && errno == ETIMEDOUT)
		say(i, "-ERR timeout\r\n");
	waitpid(pid, 0, 0);
}

int
main(int argc, char const *const *argv)
{
	static io i;
	static struct pop3login l;
	static char stamp[300];
	int record;
	pid_t pid;

	PROG = "popup";
	if (argc < 3)
		strerr_dieusage(EXIT_USAGE, USAGE);
	signal(SIGPIPE, SIG_IGN);
	io_init(&i, 0, 1);
	i.recv = recv_line;
	io_deadline(&i, TIMEOUT);
	if (snprintf(stamp, sizeof stamp, "<%lu.%lu@%s>",
	    (unsigned long)getpid(), (unsigned long)time(0), argv[1]) >=
	    (int)sizeof stamp)
		strerr_dief(EXIT_USAGE, "host name is too long");
	l.stamp = stamp;
	pid = start_check(argv + 2, &record);
	if (pid == -1) {
		strerr_warnwusys("start ", argv[2]);
		say(&i, TEMPORARY);
		return EXIT_TEMP;
	}
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", home_path());
	l.allowed = plaintext_allowed();
	give_up_rights();
	converse(&i, &l, pid, record);
	return 0;
}
