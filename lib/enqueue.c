#include "lib/enqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/clock.h"
#include "lib/crc32c.h"
#include "lib/limits.h"
#include "lib/packet.h"
#include "lib/session.h"
#include "lib/spawn.h"

#define SOCKET "socket/queue/queued"

enum {
	/* a $QMAILQUEUE program that takes nothing and says nothing for so
	 * long is given up.  Scanners of large messages take minutes. */
	WAIT_PROGRAM = 3600,
	/* queued answers after at most a few syncs */
	WAIT_QUEUED = 600,
	/* while it is not there: a supervisor starts it again */
	RESTART = 3,
	/* while it has as many connections of our user as it takes: those of
	 * others who do as we do end in moments */
	CROWDED = 60,
	FIRST_PAUSE = 50, LAST_PAUSE = 800,	/* ms between two tries */
	/* the body is in a program's hands, not in queued's: see q->sock */
	BY_PROGRAM = -2
};

/* A connection to queued outlives its message: the next one saves opening
 * it.  Not across fork: two processes must not talk on one.
 */
static int kept = -1;
static pid_t kept_by;

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/* The first trouble counts. */
static void
fail(enqueue *q, int code)
{
	if (!q->code)
		q->code = code;
}

static void
fail_text(enqueue *q, int code, char const *s, size_t n)
{
	size_t i;

	if (q->code)
		return;
	q->code = code;
	if (n > sizeof q->text - 1)
		n = sizeof q->text - 1;
	for (i = 0; i < n; i++)
		q->text[i] = s[i] < 32 || s[i] > 126 ? '?' : s[i];
	q->text[n] = 0;
}

static int
code_of(int e)
{
	switch (e) {
	case ENOMEM:
	case ENOBUFS:
		return QUEUE_MEMORY;
	case EAGAIN:
	case ETIMEDOUT:
		return QUEUE_TIMEOUT;
	default:
		return QUEUE_NETWORK;
	}
}

/* Writes that fail must fail, not kill: a pipe whose reader is gone, a file
 * at RLIMIT_FSIZE.
 */
static void
ignore_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* Is fd ready within WAIT_PROGRAM?  1; 0 no; -1. */
static int
ready(int fd, short events)
{
	struct pollfd p = { fd, events, 0 };
	uint64_t end = clock_seconds() + WAIT_PROGRAM, t;
	int r;

	do {
		t = clock_seconds();
		r = poll(&p, 1, t < end ? (end - t) * 1000 : 0);
	} while (r == -1 && errno == EINTR);
	return r;
}

/* All of it, to the new file or to a program's pipe.  1, or -1 with errno. */
static int
write_all(int fd, char const *s, size_t n, int pipe)
{
	ssize_t r;

	while (n) {
		r = write(fd, s, n);
		if (r > 0) {
			s += r;
			n -= r;
		} else if (r == -1 && errno == EAGAIN && pipe) {
			if (ready(fd, POLLOUT) != 1) {
				errno = ETIMEDOUT;
				return -1;
			}
		} else if (r == 0 || errno != EINTR) {
			return -1;
		}
	}
	return 1;
}

/* ---- a $QMAILQUEUE program */

/* Descriptors of the child: report is the pipe that all conventions for an
 * error text lead to.
 */
static unsigned int
child_fds(struct spawn_fd *fds, int message, int envelope, int report)
{
	char const *s = getenv("ERROR_FD");
	unsigned int n = 0, own;

	fds[n++] = (struct spawn_fd){ message, 0 };
	fds[n++] = (struct spawn_fd){ envelope, 1 };
	fds[n++] = (struct spawn_fd){ report, 4 };
	fds[n++] = (struct spawn_fd){ report, 6 };
	if (s && uint0_scan(s, &own) && own >= 2 && own < 16 && own != 4 &&
	    own != 6)
		fds[n++] = (struct spawn_fd){ report, own };
	return n;
}

static int
open_program(enqueue *q, char const *program)
{
	extern char **environ;
	int p[6] = { -1, -1, -1, -1, -1, -1 };
	char const *argv[2] = { program, 0 };
	struct spawn_fd fds[5];
	unsigned int n;
	int i;

	if (pipe2(p, O_CLOEXEC) == -1 || pipe2(p + 2, O_CLOEXEC) == -1 ||
	    pipe2(p + 4, O_CLOEXEC) == -1) {
		q->code = QUEUE_DEFERRED;
	} else {
		n = child_fds(fds, p[0], p[2], p[5]);
		q->pid = spawn(argv, (char const *const *)environ, fds, n);
		if (q->pid == -1)
			q->code = errno == EAGAIN || errno == ENOMEM ?
			    QUEUE_MEMORY : QUEUE_EXEC;
	}
	if (q->code) {
		for (i = 0; i < 6; i++)
			close_fd(p + i);
		return -1;
	}
	close(p[0]);
	close(p[2]);
	close(p[5]);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	fcntl(p[3], F_SETFL, O_NONBLOCK);
	q->sock = BY_PROGRAM;
	q->body = p[1];
	q->envelope = p[3];
	q->report = p[4];
	return 1;
}

/* What the program wrote to the report pipe, up to its end.  The length;
 * -1: it takes too long.
 */
static ssize_t
read_report(enqueue *q, char *s, size_t max)
{
	size_t n = 0;
	ssize_t r;
	char c[64];

	for (;;) {
		if (ready(q->report, POLLIN) != 1)
			return -1;
		if (n < max)
			r = read(q->report, s + n, max - n);
		else
			r = read(q->report, c, sizeof c);
		if (r == 0 || (r == -1 && errno != EINTR))
			return n;
		if (r > 0 && n < max)
			n += r;
	}
}

static int
reap(enqueue *q)
{
	int status, r;

	do
		r = waitpid(q->pid, &status, 0);
	while (r == -1 && errno == EINTR);
	if (r == -1)
		return QUEUE_LOST;
	return WIFEXITED(status) ? WEXITSTATUS(status) : QUEUE_CRASHED;
}

static int
close_program(enqueue *q, stralloc const *env)
{
	char report[ENQUEUE_TEXT];
	ssize_t n;
	int code;

	close_fd(&q->body);
	if (!q->code && (write_all(q->envelope, env->s, env->len, 1) == -1 ||
	    write_all(q->envelope, "", 1, 1) == -1))
		fail(q, errno == ETIMEDOUT ? QUEUE_TIMEOUT : QUEUE_READ);
	close_fd(&q->envelope);
	n = read_report(q, report, sizeof report - 1);
	while (n > 0 && (report[n - 1] == '\n' || report[n - 1] == '\r'))
		n--;
	close_fd(&q->report);
	if (n == -1 && q->pid > 0)
		kill(q->pid, SIGKILL);
	code = reap(q);
	if (n == -1)
		code = QUEUE_TIMEOUT;
	if (code == QUEUE_OK)		/* it may not have seen it all */
		return q->code;
	q->code = 0;			/* the program knows better than we */
	if ((code == QUEUE_TEXT || code == QUEUE_TEXT_TOO) && n > 2 &&
	    (*report == 'D' || *report == 'Z'))
		fail_text(q, QUEUE_TEXT, report, n);
	fail(q, code);
	return q->code;
}

/* ---- queued */

static void
drop_kept(void)
{
	close_fd(&kept);
}

/* A connection, the kept one if it is ours.  1, -1 with errno. */
static int
connect_queued(enqueue *q, int *old)
{
	*old = kept != -1 && kept_by == getpid();
	if (*old) {
		q->sock = kept;
		kept = -1;
		return 1;
	}
	drop_kept();
	q->sock = packet_connect(SOCKET);
	if (q->sock == -1)
		return -1;
	if (packet_timeout(q->sock, WAIT_QUEUED) == 1)
		return 1;
	close_fd(&q->sock);
	return -1;
}

static void
release(enqueue *q, int usable)
{
	drop_kept();
	kept = q->sock;
	q->sock = -1;
	kept_by = q->pid;
	if (!usable)
		drop_kept();
}

/* "E code text" */
static void
refused(enqueue *q, char const *s, size_t n)
{
	unsigned int code;
	size_t skip;

	if (n < 3 || s[0] != 'E')
		code = QUEUE_BUG;
	else if ((skip = uint_scan(s + 2, &code)) == 0 || code < 1 ||
	    code > 255)
		code = QUEUE_BUG;
	else if (skip + 3 < n)
		fail_text(q, code, s + skip + 3, n - skip - 3);
	fail(q, code);
}

/* Sends a record and takes the answer, NUL-terminated.  A queued that will
 * not have us says why and closes: our sending may then fail, with its answer
 * waiting.  1; 0 the other end is gone; -1 with errno.
 */
static int
ask(enqueue *q, char const *s, size_t n, char *answer, size_t max, int *fd)
{
	int r = packet_send(q->sock, s, n, -1), e = errno;
	size_t got;

	if (r == -1 && e != EPIPE)
		return -1;
	r = packet_recv(q->sock, answer, max - 1, &got, fd);
	if (r == 1)
		answer[got] = 0;
	return r == -1 && errno == ECONNRESET ? 0 : r;
}

/* "F id crc length" */
static int
parse_file(enqueue *q, char const *s)
{
	uint64_t u;
	size_t n;

	if (s[0] != 'F' || s[1] != ' ')
		return 0;
	s += 2;
	n = uint64_scan(s, &q->id);
	if (!n || s[n] != ' ')
		return 0;
	s += n + 1;
	n = uint32_xscan(s, &q->crc);
	if (!n || s[n] != ' ')
		return 0;
	return uint640_scan(s + n + 1, &u);
}

/* Asks for a file on one connection.  1; 0 the connection was closed under
 * us; -1 refused, or trouble: q->code says.
 */
static int
ask_file(enqueue *q)
{
	char request[2 + SESSION_LEN] = "N ", answer[512];
	size_t n = strlen(session_id());
	int r, fd = -1;

	memcpy(request + 2, session_id(), n);
	r = ask(q, request, n + 2, answer, sizeof answer, &fd);
	if (r == 0)
		return 0;
	if (r == -1)
		fail(q, code_of(errno));
	else if (fd == -1)
		refused(q, answer, strlen(answer));
	else if (!parse_file(q, answer))
		fail(q, QUEUE_BUG);
	q->body = fd;
	if (!q->code)
		return 1;
	close_fd(&q->body);
	release(q, r == 1 && fd == -1);
	return -1;
}

/* Asks on the kept connection, or a new one.  1; 0 nobody is there now, and
 * nothing was promised; -1 q->code says.
 */
static int
try_queued(enqueue *q)
{
	int r, old;

	do {
		if (connect_queued(q, &old) == -1) {
			if (errno == ENOENT || errno == ECONNREFUSED)
				return 0;
			q->code = code_of(errno);
			return -1;
		}
		r = ask_file(q);
		if (r)
			return r;
		release(q, 0);
		/* a kept one may have ended: that says nothing of queued */
	} while (old);
	return 0;
}

/* For how many seconds that answer is worth another try. */
static unsigned int
worth(enqueue const *q, int r)
{
	return r == 0 ? RESTART :
	    r == -1 && q->code == QUEUE_DEFERRED ? CROWDED : 0;
}

static int
open_queued(enqueue *q)
{
	struct timespec pause = { 0, 0 };
	uint64_t start = clock_ms(), ms = FIRST_PAUSE;
	int r;

	q->pid = getpid();
	while (r = try_queued(q), clock_ms() - start < worth(q, r) * 1000) {
		q->code = 0;
		q->text[0] = 0;
		pause.tv_nsec = ms * 1000000;
		nanosleep(&pause, 0);
		if (ms < LAST_PAUSE)
			ms *= 2;
	}
	if (r == 0) {
		q->code = QUEUE_NETWORK;
		return -1;
	}
	return r;
}

/* The envelope in records that fit: V for all but the last. */
static int
send_envelope(enqueue *q, stralloc const *env, char *answer, size_t max)
{
	enum { PIECE = 60000, HEAD = 64 };
	stralloc record = STRALLOC_ZERO;
	size_t at = 0, n;
	char head[HEAD];
	int r = stralloc_ready(&record, HEAD +
	    (env->len < PIECE ? env->len : PIECE)) ? 1 : -1;

	while (r == 1 && env->len - at > PIECE) {
		if (!stralloc_copyb(&record, "V", 1) ||
		    !stralloc_catb(&record, env->s + at, PIECE))
			r = -1;
		else
			r = packet_send(q->sock, record.s, record.len, -1);
		at += PIECE;
	}
	if (r == 1) {
		head[0] = 'C';
		head[1] = ' ';
		n = 2 + uint64_fmt(head + 2, q->size);
		head[n++] = ' ';
		n += uint32_xfmt(head + n, q->crc);
		head[n++] = 0;
		if (!stralloc_copyb(&record, head, n) ||
		    !stralloc_catb(&record, env->s + at, env->len - at))
			r = -1;
		else
			r = ask(q, record.s, record.len, answer, max, 0);
	}
	stralloc_free(&record);
	return r;
}

static int
close_queued(enqueue *q, stralloc const *env)
{
	char answer[512];
	int r;

	close_fd(&q->body);
	if (q->code) {
		release(q, 0);
		return q->code;
	}
	r = send_envelope(q, env, answer, sizeof answer);
	if (r == 0)
		fail(q, QUEUE_NETWORK);
	else if (r == -1)
		fail(q, code_of(errno));
	else if (answer[0] != 'K' || answer[1] != ' ' ||
	    !uint640_scan(answer + 2, &q->id))
		refused(q, answer, strlen(answer));
	release(q, r == 1);
	return q->code;
}

/* ---- either */

int
enqueue_open_by(enqueue *q, char const *program)
{
	char const *filter = getenv("QMAILQUEUE");

	if (filter && *filter)
		program = filter;
	q->code = 0;
	q->text[0] = 0;
	q->id = 0;
	q->sock = q->body = q->envelope = q->report = -1;
	q->crc = 0;
	q->size = 0;
	q->used = 0;
	ignore_signals();
	return program ? open_program(q, program) : open_queued(q);
}

int
enqueue_open(enqueue *q)
{
	return enqueue_open_by(q, 0);
}

static void
put_out(enqueue *q, char const *s, size_t n)
{
	int program = q->sock == BY_PROGRAM;

	if (q->code || !n)
		return;
	if (!program)
		q->crc = crc32c(q->crc, s, n);
	q->size += n;
	if (write_all(q->body, s, n, program) == 1)
		return;
	if (errno == ETIMEDOUT)
		fail(q, QUEUE_TIMEOUT);
	else
		fail(q, program ? QUEUE_READ : QUEUE_WRITE);
}

void
enqueue_put(enqueue *q, char const *s, size_t n)
{
	size_t room = sizeof q->buf - q->used;

	if (n > room && q->used) {
		memcpy(q->buf + q->used, s, room);
		put_out(q, q->buf, sizeof q->buf);
		q->used = 0;
		s += room;
		n -= room;
	}
	if (n > sizeof q->buf) {
		put_out(q, s, n);
		return;
	}
	memcpy(q->buf + q->used, s, n);
	q->used += n;
}

int
enqueue_close(enqueue *q, stralloc const *env)
{
	put_out(q, q->buf, q->used);
	q->used = 0;
	return q->sock == BY_PROGRAM ? close_program(q, env) :
	    close_queued(q, env);
}

/* A program gets an envelope that ends too early, and must not queue. */
void
enqueue_abort(enqueue *q)
{
	stralloc none = STRALLOC_ZERO;

	fail(q, QUEUE_READ);
	if (q->sock == BY_PROGRAM)
		close_program(q, &none);
	else
		close_queued(q, &none);
}

struct reply {
	int code;
	char const *text;
};

static struct reply const replies[] = {
	{ QUEUE_OK, "250 ok" },
	{ QUEUE_ADDRESS, "554 envelope address too long for qq (#5.1.3)" },
	{ 115, "554 envelope address too long for qq (#5.1.3)" },
	{ QUEUE_REFUSED,
	    "554 mail server permanently rejected message (#5.3.0)" },
	{ 32, "554 private key file does not exist (#5.3.5)" },
	{ QUEUE_MEMORY, "451 qq out of memory (#4.3.0)" },
	{ QUEUE_TIMEOUT, "451 qq timeout (#4.3.0)" },
	{ QUEUE_WRITE, "451 qq write error or disk full (#4.3.0)" },
	{ QUEUE_READ, "451 qq read error (#4.3.0)" },
	{ QUEUE_CONFIG, "451 qq unable to read configuration (#4.3.0)" },
	{ QUEUE_NETWORK, "451 qq trouble making network connection (#4.3.0)" },
	{ 58, "451 qq trouble creating child process (#4.3.0)" },
	{ 59, "451 qq trouble creating pipes/sockets (#4.3.0)" },
	{ QUEUE_HOME, "451 qq trouble in home directory (#4.3.0)" },
	{ 62, "451 qq trouble creating files in queue (#4.3.0)" },
	{ 63, "451 qq trouble creating files in queue (#4.3.0)" },
	{ QUEUE_FILE, "451 qq trouble creating files in queue (#4.3.0)" },
	{ 65, "451 qq trouble creating files in queue (#4.3.0)" },
	{ 66, "451 qq trouble creating files in queue (#4.3.0)" },
	{ 70, "451 qq trouble creating pid file (#4.3.0)" },
	{ QUEUE_DEFERRED,
	    "451 mail server temporarily rejected message (#4.3.0)" },
	{ 72, "451 connection to mail server timed out (#4.4.1)" },
	{ 73, "451 connection to mail server rejected (#4.4.1)" },
	{ 74, "451 communication with mail server failed (#4.4.2)" },
	{ QUEUE_BUG, "451 qq internal bug (#4.3.0)" },
	{ QUEUE_ENVELOPE, "451 qq internal bug (#4.3.0)" },
	{ QUEUE_EXEC, "451 unable to exec qq (#4.3.0)" },
	{ 122, "451 qq waitpid surprise (#4.3.0)" },
	{ 123, "451 qq crashed (#4.3.0)" },
	{ QUEUE_CRASHED, "451 qq crashed (#4.3.0)" },
	{ QUEUE_LOST, "451 qq waitpid surprise (#4.3.0)" },
};

char const *
enqueue_reply(enqueue const *q)
{
	static char own[ENQUEUE_TEXT + 4];
	size_t i;

	if (q->code == QUEUE_TEXT && q->text[0] && q->text[1]) {
		memcpy(own, *q->text == 'D' ? "554 " : "451 ", 4);
		memcpy(own + 4, q->text + 1, strlen(q->text));
		return own;
	}
	for (i = 0; i < sizeof replies / sizeof *replies; i++)
		if (replies[i].code == q->code)
			return replies[i].text;
	if (q->code >= 11 && q->code <= 40)
		return "554 qq permanent problem (#5.3.0)";
	return "451 qq temporary problem (#4.3.0)";
}
