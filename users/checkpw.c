/* checkpw: check a login and password, then run a program as that user.
 *
 * A checkpassword program (https://cr.yip.to/checkpwd/interface.html): login,
 * password and a third field arrive on descriptor 3, at most 512 bytes.  The
 * password is compared by authd.
 *
 * Runs as: root, to become the user; or anybody, to be told yes or no.
 * Reads: descriptor 3.  Writes: a question to socket/auth/authd.  Trusts:
 * authd, for who the user is; nothing on descriptor 3.  Trusted by: popup,
 * smtpd.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/exec.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/packet.h"
#include "lib/role.h"

#define SOCKET "socket/auth/authd"

enum {
	EXIT_REFUSED = 1,
	EXIT_MISUSE = 2,
	PATIENCE = 60000,	/* milliseconds; authd delays bad news */
	ANSWER = 2048
};

struct user {
	char const *name, *home, *shell, *login;
	struct role is;
};

static char const *
or_else(char const *s, char const *otherwise)
{
	return s && *s ? s : otherwise;
}

/* What vchkpw's log lines and the users' flags call it. */
static char const *
service(void)
{
	static char const *const known[][2] = {
		{ "25", "smtp" }, { "110", "pop3" }, { "143", "imap" },
		{ "465", "smtps" }, { "587", "submission" },
		{ "993", "imaps" }, { "995", "pop3s" }
	};
	char const *port = or_else(getenv("TCPLOCALPORT"), "0");
	size_t i;

	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(port, known[i][0]) == 0)
			return known[i][1];
	return or_else(getenv("POSTERN_SERVICE"), port);
}

/* login NUL password NUL timestamp NUL; exits if that is not what it is. */
static void
read_login(stralloc *question)
{
	char in[LIMIT_LOGIN + 1];
	char const *login, *password, *third;
	size_t pos = 0, n;

	errno = 0;
	n = allread(3, in, sizeof in);
	if (errno && errno != EPIPE)
		strerr_diefusys(EXIT_MISUSE, "read descriptor 3");
	close(3);
	if (n > LIMIT_LOGIN)
		strerr_dief(EXIT_REFUSED, "login and password are too long");
	login = job_field(in, n, &pos);
	password = login ? job_field(in, n, &pos) : 0;
	if (!password)
		/* the client went away before it said them */
		_exit(EXIT_MISUSE);
	/* the challenge of CRAM-MD5 and APOP; others put the time there, or
	 * nothing, or leave it away */
	third = pos < n ? job_field(in, n, &pos) : 0;
	if (job_puts(question, login) == -1 ||
	    job_puts(question, password) == -1 ||
	    job_puts(question, or_else(getenv("TCPREMOTEIP"), "unknown")) ==
	    -1 || job_puts(question, service()) == -1 ||
	    job_puts(question, or_else(getenv("POSTERN_SESSION"), "")) == -1 ||
	    job_puts(question, or_else(third, "")) == -1)
		strerr_diefusys(EXIT_TEMP, "ask");
	explicit_bzero(in, sizeof in);
}

static size_t
ask(stralloc *question, char *answer)
{
	struct pollfd p = { -1, POLLIN, 0 };
	size_t n = 0;
	int r;

	p.fd = packet_connect(SOCKET);
	if (p.fd == -1 ||
	    packet_send(p.fd, question->s, question->len, -1) == -1)
		strerr_diefusys(EXIT_TEMP, "ask authd at ", SOCKET);
	explicit_bzero(question->s, question->len);
	do
		r = poll(&p, 1, PATIENCE);
	while (r == -1 && errno == EINTR);
	if (r == 0)
		strerr_dief(EXIT_TEMP, "authd does not answer");
	if (r == -1 || packet_recv(p.fd, answer, ANSWER, &n, 0) != 1 || !n)
		strerr_dief(EXIT_TEMP, "authd went away without an answer");
	close(p.fd);
	return n;
}

static int
read_user(char const *s, size_t n, struct user *u)
{
	uint64_t uid, gid;
	size_t pos = 1;

	u->name = job_field(s, n, &pos);
	if (!u->name || !job_field_number(s, n, &pos, &uid) ||
	    !job_field_number(s, n, &pos, &gid))
		return 0;
	u->home = job_field(s, n, &pos);
	u->shell = u->home ? job_field(s, n, &pos) : 0;
	u->login = u->shell ? job_field(s, n, &pos) : 0;
	u->is.uid = uid;
	u->is.gid = gid;
	/* never root, whoever says so */
	return u->login && *u->home == '/' && uid && gid &&
	    u->is.uid == uid && u->is.gid == gid;
}

static void
become(struct user const *u)
{
	if (role_become(&u->is) == -1)
		strerr_diefusys(EXIT_TEMP, "become the user of ", u->login);
	if (chdir(u->home) == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", u->home);
	if (setenv("USER", u->name, 1) == -1 ||
	    setenv("HOME", u->home, 1) == -1 ||
	    setenv("SHELL", u->shell, 1) == -1 ||
	    setenv("VPOPUSER", u->login, 1) == -1)
		strerr_diefusys(EXIT_TEMP, "set the environment");
}

int
main(int argc, char const *const *argv)
{
	static char answer[ANSWER];
	stralloc question = STRALLOC_ZERO;
	struct user u;
	size_t n;
	int start;

	PROG = "checkpw";
	if (argc < 2)
		strerr_dieusage(EXIT_MISUSE, "checkpw prog...");
	read_login(&question);
	/* O_PATH: a profile may forbid to read it */
	start = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", home_path());
	n = ask(&question, answer);
	if (*answer == 'N')
		_exit(EXIT_REFUSED);
	if (*answer != 'K')
		_exit(EXIT_TEMP);
	if (geteuid() == 0) {
		if (!read_user(answer, n, &u))
			strerr_dief(EXIT_TEMP, "strange answer from authd");
		become(&u);
	} else if (start == -1 || fchdir(start) == -1)
		strerr_diefusys(EXIT_TEMP, "return to where it started");
	exec(argv + 1);
	strerr_diefusys(EXIT_TEMP, "run ", argv[1]);
}
