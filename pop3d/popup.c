/* popup: the POP3 dialogue before the password.
 *
 * Before the first byte is read from the network a child is forked, which
 * waits for one letter: whether the connection is plain or has been encrypted
 * meanwhile.  Then it puts the right descriptors in their places and becomes
 * the checkpassword program, which finds the login on its descriptor 3.
 * popup itself has no rights left, and after a good password no more to say:
 * the program that follows goes on with the connection.
 *
 * Runs as: root at its start, then popup, in an empty root directory, without
 * a file to open or a process to start; its child, "popupwait", as root.
 * Reads: descriptor 0, and what TLS is behind it, up to the line of the
 * password; control/.  Writes: descriptor 1; the record.  Trusts: nothing that
 * it reads.  Trusted by: nobody; popupwait believes a letter.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/exec.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/role.h"
#include "lib/sandbox.h"
#include "pop3d/login.h"

#define USAGE "popup hostname checkpassword prog..."

enum {
	TIMEOUT = 120,		/* in all: nobody is known yet */
	ANSWER = 60,		/* until the client has taken the last word */
	RECORD = 3,		/* descriptor of a checkpassword program */
	TLS_SAYS = 8192		/* bytes that we hear about a connection */
};

/* UCSPI-TLS; control is -1 where it is not offered, or over. */
struct tls {
	int control, in, out;
	int on;
};

static char const TEMPORARY[] =
    "-ERR [SYS/TEMP] unable to check passwords now\r\n";
static char const BEHIND[] =
    "-ERR nothing may stand behind STLS before the answer\r\n";

/* 1 readable; -1, ETIMEDOUT when the deadline has passed */
static int
wait_for(io *i, int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int r;

	do {
		uint64_t now = i->now(i);

		if (now >= i->deadline) {
			errno = ETIMEDOUT;
			return -1;
		}
		r = poll(&p, 1, (i->deadline - now) * 1000);
	} while (r == 0 || (r == -1 && errno == EINTR));
	return r;
}

/* Like io's own recv, but never behind the end of a line. */
static ssize_t
recv_line(io *i, char *s, size_t max)
{
	char *lf;
	ssize_t n;

	if (wait_for(i, i->in) == -1)
		return -1;
	n = recv(i->in, s, max, MSG_PEEK);
	if (n == -1 && errno == ENOTSOCK)
		return read(i->in, s, 1);
	if (n <= 0)
		return n;
	lf = memchr(s, '\n', n);
	return read(i->in, s, lf ? (size_t)(lf - s) + 1 : (size_t)n);
}

/* A descriptor that the variable names, and that is open; or -1. */
static int
descriptor(char const *s)
{
	unsigned int fd;

	return s && uint0_scan(s, &fd) && fd > 2 && fd < 65536 &&
	    fcntl(fd, F_GETFD) != -1 ? (int)fd : -1;
}

static void
find_tls(struct tls *t)
{
	t->control = descriptor(getenv("SSLCTLFD"));
	t->in = descriptor(getenv("SSLREADFD"));
	t->out = descriptor(getenv("SSLWRITEFD"));
	t->on = 0;
	if (t->in == -1 || t->out == -1)
		t->control = -1;
}

/* What was sent in plain text behind STLS would be answered, or executed, as
 * if it had come encrypted.  It is still in the kernel, for recv_line reads
 * lines; what comes later meets the handshake, and spoils it.
 */
static int
is_quiet(io const *i)
{
	struct pollfd p = { i->in, POLLIN, 0 };

	return !io_pending(i) && poll(&p, 1, 0) == 0;
}

/* "NAME=value" NUL ... NUL from the other side of the control descriptor; *n
 * bytes, the last two are NUL.  1, -1.
 */
static int
hear_of_tls(io *i, int control, char *s, size_t *n)
{
	ssize_t r;

	for (*n = 0; *n < 2 || s[*n-1] || s[*n-2]; *n += r) {
		if (*n == TLS_SAYS || wait_for(i, control) == -1)
			return -1;
		r = read(control, s + *n, TLS_SAYS - *n);
		if (r <= 0)
			return -1;
	}
	return 1;
}

static void
log_tls(char const *s, size_t n)
{
	size_t pos, len;

	log_start("info", "tls");
	for (pos = 0; pos < n; pos += len) {
		len = strlen(s + pos) + 1;
		if (strncmp(s + pos, "SSL_PROTOCOL=", 13) == 0)
			log_string("protocol", s + pos + 13);
		else if (strncmp(s + pos, "SSL_CIPHER=", 11) == 0)
			log_string("cipher", s + pos + 11);
	}
	log_end();
}

static int
start_tls(struct pop3login *l, io *i)
{
	char said[TLS_SAYS];
	struct tls *t = i->ctx;
	size_t n;

	(void)l;
	if (!is_quiet(i))
		return io_puts(i, BEHIND) == -1 ? -1 : 0;
	if (io_puts(i, "+OK begin TLS now\r\n") == -1 || io_flush(i) == -1 ||
	    write(t->control, "Y", 1) != 1 ||
	    hear_of_tls(i, t->control, said, &n) == -1) {
		errno = EPIPE;	/* whoever speaks TLS has said why */
		return -1;
	}
	log_tls(said, n);
	t->on = 1;
	i->in = t->in;
	i->out = t->out;
	return 1;
}

static int
is_encrypted(void)
{
	char const *s = getenv("SSL_PROTOCOL");

	return s && *s;
}

/* May passwords cross this connection?  The first byte that is foreign to
 * this question is the client's: all this is read before.
 */
static int
plaintext_allowed(void)
{
	unsigned int value = 0;
	char const *s = getenv("PLAINTEXTAUTH");

	if (s)
		return strcmp(s, "0") != 0;
	if (control_uint("control/plaintextauth", &value) == -1)
		strerr_warnwusys("read control/plaintextauth");
	return value == 1;
}

/* The clear side of TLS takes the place of the plain connection. */
static void
put_in_place(struct tls const *t, char letter, int record)
{
	if (letter == 'T' && (dup2(t->in, 0) == -1 || dup2(t->out, 1) == -1))
		strerr_diefusys(EXIT_TEMP, "move descriptors");
	if (t->control != -1) {
		close(t->in);
		close(t->out);
	}
	if (record != RECORD && (dup2(record, RECORD) == -1 ||
	    close(record) == -1))
		strerr_diefusys(EXIT_TEMP, "move descriptors");
}

/* popupwait: 'P' plain, 'T' encrypted, nothing if the client went away. */
static void
wait_for_letter(char const *const *argv, struct tls const *t, int record)
{
	char letter;
	ssize_t r;

	prctl(PR_SET_NAME, "popupwait");
	if (t->control != -1)
		close(t->control);
	do
		r = read(record, &letter, 1);
	while (r == -1 && errno == EINTR);
	if (r != 1 || (letter != 'P' && letter != 'T'))
		_exit(EXIT_DONE);
	put_in_place(t, letter, record);
	signal(SIGPIPE, SIG_DFL);
	unsetenv("SSLCTLFD");
	unsetenv("SSLREADFD");
	unsetenv("SSLWRITEFD");
	/* what checkpw calls us; other checkpassword programs look at the
	 * port */
	if (setenv("POSTERN_SERVICE", "pop3", 0) == -1)
		strerr_diefusys(EXIT_TEMP, "set the environment");
	exec(argv);
	strerr_diefusys(EXIT_TEMP, "run ", argv[0]);
}

static pid_t
start_check(char const *const *argv, struct tls const *t, int *record)
{
	int both[2];
	pid_t pid;

	if (pipe(both) == -1)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(both[1]);
		wait_for_letter(argv, t, both[0]);
	}
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
	io_deadline(i, ANSWER);
	if (code == 1 || code == 3)	/* vchkpw's is 3 */
		say(i, "-ERR [AUTH] authorization failed\r\n");
	else if (code != 0)
		say(i, TEMPORARY);
}

static void
hand_over(struct pop3login *l, struct tls const *t, int record)
{
	char packet[1 + sizeof l->record];
	ssize_t n;

	*packet = t->on ? 'T' : 'P';
	memcpy(packet + 1, l->record, l->used);
	/* the pipe takes this at once; if the child is gone its exit code says
	 * why */
	n = write(record, packet, 1 + l->used);
	if (n != -1 && n != (ssize_t)(1 + l->used))
		strerr_warnwu("hand over the whole login");
	explicit_bzero(packet, sizeof packet);
	explicit_bzero(l->record, sizeof l->record);
}

static void
converse(io *i, struct pop3login *l, pid_t pid, int record)
{
	struct tls *t = i->ctx;
	int e, r = login_run(i, l);

	e = errno;
	if (r == 1) {
		hand_over(l, t, record);
		explicit_bzero(i->in_buf, sizeof i->in_buf);
	}
	close(record);
	/* without a word: no more TLS is wanted */
	if (t->control != -1)
		close(t->control);
	if (r == 1) {
		conclude(i, pid);
		return;
	}
	if (r == -1 && e == ETIMEDOUT) {
		io_deadline(i, 1);
		say(i, "-ERR timeout\r\n");
	}
	waitpid(pid, 0, 0);
}

static void
read_settings(struct pop3login *l)
{
	unsigned int apop = 0;

	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", home_path());
	if (control_uint("control/apop", &apop) == -1)
		strerr_warnwusys("read control/apop");
	if (control_uint("control/pop3logindelay", &l->delay) == -1)
		strerr_warnwusys("read control/pop3logindelay");
	if (control_uint("control/timeoutpop3login", &l->timeout) == -1)
		strerr_warnwusys("read control/timeoutpop3login");
	if (!l->timeout)
		l->timeout = 1;
	l->apop = apop == 1;
	l->allowed = is_encrypted() || plaintext_allowed();
}

int
main(int argc, char const *const *argv)
{
	static struct pop3login l;
	static struct tls t;
	static char stamp[300];
	static io i;
	int record;
	pid_t pid;

	PROG = "popup";
	if (argc < 3)
		strerr_dieusage(EXIT_USAGE, USAGE);
	signal(SIGPIPE, SIG_IGN);
	io_init(&i, 0, 1);
	i.recv = recv_line;
	i.ctx = &t;
	io_deadline(&i, TIMEOUT);
	if (snprintf(stamp, sizeof stamp, "<%lu.%lu@%s>",
	    (unsigned long)getpid(), (unsigned long)time(0), argv[1]) >=
	    (int)sizeof stamp)
		strerr_dief(EXIT_USAGE, "host name is too long");
	l.stamp = stamp;
	l.timeout = TIMEOUT;
	find_tls(&t);
	if (t.control != -1 && !is_encrypted())
		l.start_tls = start_tls;
	pid = start_check(argv + 2, &t, &record);
	if (pid == -1) {
		strerr_warnwusys("start a process");
		say(&i, TEMPORARY);
		return EXIT_TEMP;
	}
	read_settings(&l);
	give_up_rights();
	converse(&i, &l, pid, record);
	return 0;
}
