#include "scanq/walkrun.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/sandbox.h"
#include "lib/spawn.h"
#include "scanq/walkwire.h"

enum {
	PIECE = 65536,		/* fed at once */
	OUT = 65536,		/* collected before a write: a pipe's room */
	CLOSE_RANGE = 436,	/* Linux 5.9; absent from older headers */
	CHILD_CUT = 1, CHILD_FAILED = 2
};

/* Where the child's events go. */
static struct {
	int fd;
	size_t used;
	char buf[OUT];
} out;

static void
flush(void)
{
	size_t at = 0;
	ssize_t r;

	while (at < out.used) {
		r = write(out.fd, out.buf + at, out.used - at);
		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			_exit(CHILD_CUT);
		at += (size_t)r;
	}
	out.used = 0;
}

static void
put(char const *s, size_t n)
{
	size_t room;

	while (n) {
		room = sizeof out.buf - out.used;
		if (!room) {
			flush();
			continue;
		}
		if (room > n)
			room = n;
		memcpy(out.buf + out.used, s, room);
		out.used += room;
		s += room;
		n -= room;
	}
}

static void
send_event(void *ctx, struct walk_event const *e)
{
	unsigned char head[WALKWIRE_HEADER];

	(void)ctx;
	walkwire_put(head, e);
	put((char *)head, sizeof head);
	put(e->s, e->n);
	put(e->t, e->tn);
}

/* The walker's memory is taken here: the parent need not share its pages. */
static void
child(int fd, char const *s, size_t n, int flags)
{
	walk *w = walk_new(send_event, 0, flags);
	struct rlimit cpu = { WALKRUN_SECONDS, WALKRUN_SECONDS };
	struct rlimit none = { 0, 0 };
	size_t k;

	/* not our caller's descriptors, whatever becomes of us */
	out.fd = 1;
	if (!w || dup2(fd, 1) == -1 || close(0) == -1 ||
	    syscall(CLOSE_RANGE, 2, ~0U, 0) == -1)
		_exit(CHILD_FAILED);
	signal(SIGPIPE, SIG_DFL);
	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &none);
	if (sandbox_no_new_privs() == -1 || sandbox_pure() == -1)
		_exit(CHILD_FAILED);
	for (; n; s += k, n -= k) {
		k = n < PIECE ? n : PIECE;
		walk_feed(w, s, k);
	}
	walk_end(w);
	flush();
	_exit(0);
}

int
walkrun_start(struct walkrun *r, char const *s, size_t n, int flags)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) == -1)
		return -1;
	r->pid = fork();
	if (r->pid == 0) {
		close(p[0]);
		child(p[1], s, n, flags);
	}
	close(p[1]);
	r->fd = p[0];
	if (r->pid != -1)
		return 1;
	close(r->fd);
	return -1;
}

int
walkrun_program(struct walkrun *r, char const *const *argv, int in)
{
	static char const *const nothing[] = { 0 };
	struct spawn_fd fds[2] = { { in, 0 }, { -1, 1 } };
	int p[2], e;

	if (pipe2(p, O_CLOEXEC) == -1)
		return -1;
	fds[1].from = p[1];
	r->pid = spawn(argv, nothing, fds, 2);
	e = errno;
	close(p[1]);
	r->fd = p[0];
	if (r->pid != -1)
		return 1;
	close(r->fd);
	errno = e;
	return -1;
}

/* Without waiting for it: what it has said is said. */
void
walkrun_stop(struct walkrun *w)
{
	int r;

	if (w->pid == -1)
		return;
	kill(w->pid, SIGKILL);
	close(w->fd);
	do
		r = waitpid(w->pid, 0, 0);
	while (r == -1 && errno == EINTR);
	w->pid = -1;
	w->fd = -1;
}

/* More of the stream; bytes, 0 at the end or when the time is over. */
static ssize_t
more(struct walkrun *w, char *s, size_t max, long until)
{
	struct pollfd p = { w->fd, POLLIN, 0 };
	ssize_t r;
	long left;

	for (;;) {
		left = until - (long)clock_ms();
		r = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (r > 0)
			r = read(w->fd, s, max);
		else if (r == 0)
			errno = ETIMEDOUT;
		if (r != -1 || errno != EINTR)
			return r > 0 ? r : 0;
	}
}

/* Takes the records of buf[0..n); the bytes taken, -1: no record. */
static long
records(char const *buf, size_t n, walk_take *take, void *ctx, int *done)
{
	struct walk_event e;
	size_t at = 0;
	long k;

	while ((k = walkwire_get(buf + at, n - at, &e)) > 0) {
		if (*done)
			return -1;
		*done = e.type == WALK_DONE;
		take(ctx, &e);
		at += (size_t)k;
	}
	return k == -1 ? -1 : (long)at;
}

int
walkrun_events(struct walkrun *w, walk_take *take, void *ctx,
    char const **why)
{
	static char buf[2 * WALKWIRE_MOST];
	long until = (long)clock_ms() + WALKRUN_SECONDS * 1000L, k = 0;
	size_t have = 0;
	int done = 0;
	ssize_t r;

	while (k != -1 &&
	    (r = more(w, buf + have, sizeof buf - have, until)) > 0) {
		have += (size_t)r;
		k = records(buf, have, take, ctx, &done);
		if (k > 0) {
			have -= (size_t)k;
			memmove(buf, buf + k, have);
		}
	}
	*why = k == -1 ? "it says what is no event" :
	    (long)clock_ms() >= until ? "it is too slow" : "it died";
	walkrun_stop(w);
	return k != -1 && done && !have;
}
