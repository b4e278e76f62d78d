#include "smtpd/login.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

#include "lib/assign.h"
#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/loginname.h"
#include "lib/mailbox.h"
#include "lib/packet.h"
#include "smtpd/program.h"

#define LIMITS_SOCKET "socket/auth/limits"

/* checkpw gives authd 60 seconds */
enum { CHECK_SECONDS = 70, LIMITS_SECONDS = 30 };

/* The program's exit code, -1 if it was killed; 0 with *started 0. */
static int
run_checker(char const *const *argv, struct credentials const *c,
    int *started)
{
	uint64_t until = clock_seconds() + CHECK_SECONDS;
	char record[LIMIT_LOGIN + 1];
	int to, n = snprintf(record, sizeof record, "%s%c%s%c%s%c", c->login,
	    0, c->password, 0, c->challenge, 0);
	pid_t pid = program_start(argv, PROGRAM_READS, 3, &to);

	*started = pid != -1;
	if (pid == -1)
		return 0;
	/* the pipe takes it at once; who does not read it says so by his exit
	 * code */
	if (fd_write(to, record, n) != n) {
		program_log("unable to hand over a login", *argv, 0);
		log_end();
	}
	explicit_bzero(record, sizeof record);
	close(to);
	return program_end(pid, until);
}

/* Its flags, of a user of one of our domains.  1, 0 no such user, -1. */
static int
mailbox_flags(char const *login, unsigned long *flags)
{
	struct assign domain = ASSIGN_ZERO;
	struct mailbox m = MAILBOX_ZERO;
	stralloc name = STRALLOC_ZERO;
	size_t at, n;
	int r = loginname(login, strlen(login), &name, &at);

	n = name.len;
	if (r == 1)
		r = at < n ? assign_domain(name.s + at + 1, n - at - 1,
		    &domain) : 0;
	if (r == 1)
		r = mailbox_find(domain.user, strlen(domain.user), name.s, at,
		    &m);
	if (r == 1 && m.kind == 'u')
		*flags = m.flags;
	stralloc_free(&name);
	stralloc_free(&domain.sa);
	stralloc_free(&m.sa);
	return r;
}

static int
trouble(char const *event, char const *login, size_t n)
{
	int e = errno;

	log_start("warning", event);
	log_value("login", login, n);
	log_errno(e);
	log_end();
	return -1;
}

int
login_check(struct backend *b, struct credentials const *c)
{
	size_t n = strlen(c->login);
	unsigned long flags = 0;
	int started, code = run_checker(b->checker, c, &started);

	if (!started) {
		program_log("unable to start", *b->checker, 0);
		log_end();
		return LOGIN_TROUBLE;
	}
	if (code == 1 || code == 3)
		return LOGIN_WRONG;
	if (code != EXIT_DONE) {
		program_log("check of a password failed", *b->checker, code);
		log_end();
		return LOGIN_TROUBLE;
	}
	if (mailbox_flags(c->login, &flags) == -1)
		return trouble("unable to look a user up", c->login, n);
	if (setenv("SMTPAUTHUSER", c->login, 1) == -1)
		return trouble("unable to remember a user", c->login, n);
	return flags & MAILBOX_NORELAY ? LOGIN_HERE_ONLY : LOGIN_GOOD;
}

/* One record to authd, and its answer; its length, or -1. */
static ssize_t
ask_authd(stralloc const *question, char *answer, size_t max)
{
	int r, e, fd = packet_connect(LIMITS_SOCKET);
	size_t n = 0;

	if (fd == -1)
		return -1;
	r = packet_timeout(fd, LIMITS_SECONDS);
	if (r == 1)
		r = packet_send(fd, question->s, question->len, -1);
	if (r == 1)
		r = packet_recv(fd, answer, max, &n, 0);
	if (r == 0 || (r == 1 && !n)) {
		errno = EPROTO;
		r = -1;
	}
	e = errno;
	close(fd);
	errno = e;
	return r == 1 ? (ssize_t)n : -1;
}

int
login_allow(struct backend *b, stralloc const *user, unsigned int count)
{
	stralloc question = STRALLOC_ZERO;
	char answer[128];
	ssize_t n = -1;

	if (stralloc_append(&question, 'S') &&
	    job_put(&question, user->s, user->len) == 1 &&
	    job_number(&question, count) == 1)
		n = ask_authd(&question, answer, sizeof answer - 1);
	stralloc_free(&question);
	/* there has never been an authd here: another program checks
	 * passwords, and nobody counts */
	if (n == -1 && errno == ENOENT)
		return 1;
	if (n > 0 && *answer == 'K')
		return 1;
	if (n > 0 && (*answer == 'M' || *answer == 'R')) {
		answer[n] = 0;
		snprintf(b->text, sizeof b->text, "%s sorry, %s: try again "
		    "later (%s)", *answer == 'M' ? "450 4.7.1" : "452 4.5.3",
		    answer + 1, *answer == 'M' ? "#4.7.1" : "#4.5.3");
		return 0;
	}
	if (n > 0)
		errno = EPROTO;
	return trouble("unable to ask authd how much a user has sent", user->s,
	    user->len);
}

char const *
login_nonce(struct backend *b)
{
	static char hex[33];
	unsigned char s[16];
	size_t i;

	(void)b;
	/* 16 bytes never fail and never come short (getrandom(2)) */
	if (getrandom(s, sizeof s, 0) != sizeof s)
		bug("no random numbers");
	for (i = 0; i < sizeof s; i++)
		snprintf(hex + 2 * i, 3, "%02x", s[i]);
	return hex;
}
