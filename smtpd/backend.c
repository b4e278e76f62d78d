#include "smtpd/backend.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/posixplz.h>

#include "lib/clock.h"
#include "lib/enqueue.h"
#include "lib/exitcode.h"
#include "lib/log.h"
#include "lib/recipient.h"
#include "lib/signing.h"
#include "lib/smtpaddress.h"
#include "smtpd/login.h"
#include "smtpd/program.h"

/* A program that says nothing for so long is killed. */
#define ASK_SECONDS 60

/* Untouched, and so not in memory, until the first message. */
static enqueue queue;

static int
export(char const *name, char const *value, size_t n)
{
	stralloc s = STRALLOC_ZERO;
	int r = -1;

	if (stralloc_catb(&s, value, n) && stralloc_0(&s))
		r = setenv(name, s.s, 1);
	stralloc_free(&s);
	return r;
}

/* $HELO is what dmarcq(8) asks DNS about; without it there is less to ask. */
static int
queue_open(struct backend *b)
{
	int r, filtered = getenv("QMAILQUEUE") != 0;

	if (filtered && b->helo_len)
		(void)export("HELO", b->helo, b->helo_len);
	r = enqueue_open_by(&queue, signing_program()) == 1;
	if (filtered)
		unsetenv("HELO");
	return r;
}

static void
queue_put(struct backend *b, char const *s, size_t n)
{
	(void)b;
	enqueue_put(&queue, s, n);
}

static int
queue_close(struct backend *b, stralloc const *envelope)
{
	if (enqueue_close(&queue, envelope) != QUEUE_OK)
		return 0;
	b->pid = queue.pid;
	b->id = queue.id;
	return 1;
}

static void
queue_abort(struct backend *b)
{
	(void)b;
	enqueue_abort(&queue);
}

static char const *
queue_reply(struct backend *b)
{
	(void)b;
	return enqueue_reply(&queue);
}

static int
tables(struct backend *b, struct question const *q)
{
	int r = recipient_check(q->recipient->s, q->recipient->len);
	int e = errno;

	(void)b;
	if (r == RECIPIENT_TROUBLE) {
		log_start("warning", "unable to check recipient");
		log_path("to", q->recipient->s, q->recipient->len);
		log_errno(e);
		log_end();
	}
	return r;
}

static void
log_program(char const *event, char const *name, struct question const *q,
    int code)
{
	program_log(event, name, code);
	log_path("to", q->recipient->s, q->recipient->len);
	log_end();
}

/* $RCPTCHECK: exit 0 yes, 100 no, all else: not now. */
static int
program(struct backend *b, struct question const *q)
{
	char const *const argv[] = { getenv("RCPTCHECK"), 0 };
	uint64_t until = clock_seconds() + ASK_SECONDS;
	pid_t pid = -1;
	int code, text = -1;

	if (export("SENDER", q->sender->s, q->sender->len) == 0 &&
	    export("RECIPIENT", q->recipient->s, q->recipient->len) == 0 &&
	    export("HELO", q->helo->s, q->helo->len) == 0)
		pid = program_start(argv, PROGRAM_WRITES, 4, &text);
	unsetenv("SENDER");
	unsetenv("RECIPIENT");
	unsetenv("HELO");
	if (pid == -1) {
		log_program("unable to start recipient check", *argv, q, 0);
		return RECIPIENT_TROUBLE;
	}
	program_hear(text, b->text, BACKEND_TEXT, until);
	fd_close(text);
	code = program_end(pid, until);
	if (code == EXIT_DONE)
		return RECIPIENT_YES;
	if (code == EXIT_PERM)
		return RECIPIENT_NO;
	log_program("recipient check failed", *argv, q, code);
	return RECIPIENT_TROUBLE;
}

/* Names for the arguments of a program: as C strings, the domain alone. */
static int
take_name(stralloc *out, stralloc const *s, size_t from)
{
	return stralloc_copyb(out, s->s + from, s->len - from) &&
	    stralloc_0(out);
}

/* namecheck(8): exit 0, and the text.  It watches the time itself. */
static int
ask_lists(struct backend *b, struct question const *q)
{
	stralloc helo = STRALLOC_ZERO, domain = STRALLOC_ZERO;
	size_t at = smtpaddress_at(q->sender->s, q->sender->len);
	uint64_t until = clock_seconds() + ASK_SECONDS;
	pid_t pid = -1;
	int code = -1, text = -1;

	at += at < q->sender->len;
	if (take_name(&helo, q->helo, 0) && take_name(&domain, q->sender, at)) {
		char const *const argv[] = {
			"bin/namecheck", "--", helo.s, domain.s, 0
		};

		pid = program_start(argv, PROGRAM_WRITES, 1, &text);
	}
	stralloc_free(&helo);
	stralloc_free(&domain);
	if (pid == -1) {
		log_program("unable to start", "namecheck", q, 0);
		return -1;
	}
	program_hear(text, b->text, BACKEND_TEXT, until);
	fd_close(text);
	code = program_end(pid, until);
	if (code == EXIT_DONE)
		return *b->text != 0;
	log_program("check of names failed", "namecheck", q, code);
	return -1;
}

static uint64_t
wall_clock(struct backend *b)
{
	(void)b;
	return time(0);
}

static int
tls_ready(struct backend *b)
{
	return ucspitls_ready(&b->tls);
}

static int
start_tls(struct backend *b, unsigned int wait, struct tls *t)
{
	int r = ucspitls_start(&b->tls, wait);

	if (r != 1)
		return r;
	/* who logged in before must do so again */
	unsetenv("SMTPAUTHUSER");
	t->protocol = getenv("SSL_PROTOCOL");
	t->cipher = getenv("SSL_CIPHER");
	return 1;
}

/* Ends when the client goes away. */
static void
wait_a_while(struct backend *b, unsigned int n)
{
	struct pollfd p = { b->connection, POLLRDHUP, 0 };

	poll(&p, 1, n * 1000);
}

void
backend_init(struct backend *b, int connection, char const *const *checker)
{
	char const *s = getenv("RCPTCHECK");

	b->connection = connection;
	b->checker = checker;
	b->helo = 0;
	b->helo_len = 0;
	b->open = queue_open;
	b->put = queue_put;
	b->close = queue_close;
	b->abort = queue_abort;
	b->reply = queue_reply;
	b->recipient = tables;
	b->ask = s && *s ? program : 0;
	s = getenv("RHSBL");
	b->names = s && *s ? ask_lists : 0;
	b->login = *checker ? login_check : 0;
	b->allow = login_allow;
	b->nonce = login_nonce;
	b->tlsready = tls_ready;
	b->starttls = ucspitls_offered(&b->tls) ? start_tls : 0;
	b->time = wall_clock;
	b->pause = wait_a_while;
	*b->text = 0;
	b->pid = 0;
}
