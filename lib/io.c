#include "lib/io.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"

static uint64_t
monotonic(io *i)
{
	(void)i;
	return clock_seconds();
}

/* 1 ready, -1 with errno */
static int
wait_for(io *i, int fd, short events)
{
	struct pollfd p = { fd, events, 0 };
	uint64_t now;
	int r;

	do {
		now = i->now(i);
		if (now >= i->deadline) {
			errno = ETIMEDOUT;
			return -1;
		}
		now = i->deadline - now;
		r = poll(&p, 1, now > 2000000 ? 2000000000 : now * 1000);
	} while (r == 0 || (r == -1 && errno == EINTR));
	return r;
}

static ssize_t
fd_recv(io *i, char *s, size_t max)
{
	ssize_t r;

	do {
		if (wait_for(i, i->in, POLLIN) == -1)
			return -1;
		r = read(i->in, s, max);
	} while (r == -1 && (errno == EINTR || errno == EAGAIN));
	return r;
}

/* Never blocks longer than the deadline allows: a blocking socket would keep
 * us in write(2) until the peer has read all of it.  A pipe (tests, -bs) that
 * polls writable takes PIPE_BUF bytes at once. */
static ssize_t
send_some(io *i, char const *s, size_t n)
{
	ssize_t r = send(i->out, s, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r == -1 && errno == ENOTSOCK) {
		if (wait_for(i, i->out, POLLOUT) == -1)
			return -1;
		r = write(i->out, s, n < PIPE_BUF ? n : PIPE_BUF);
	} else if (r == -1 && errno == EAGAIN)
		r = wait_for(i, i->out, POLLOUT) == -1 ? -1 : 0;
	return r == -1 && (errno == EINTR || errno == EAGAIN) ? 0 : r;
}

static int
fd_send(io *i, char const *s, size_t n)
{
	while (n) {
		ssize_t r = send_some(i, s, n);

		if (r == -1)
			return -1;
		s += r;
		n -= r;
	}
	return 1;
}

void
io_init(io *i, int in, int out)
{
	i->recv = fd_recv;
	i->send = fd_send;
	i->now = monotonic;
	i->ctx = 0;
	i->in = in;
	i->out = out;
	i->deadline = 0;
	i->head = i->tail = i->used = 0;
}

void
io_deadline(io *i, unsigned int seconds)
{
	i->deadline = i->now(i) + seconds;
}

/* More input behind what is there.  1; 0 at the end; -1. */
static int
more(io *i)
{
	ssize_t r;

	if (i->head) {
		memmove(i->in_buf, i->in_buf + i->head, i->tail - i->head);
		i->tail -= i->head;
		i->head = 0;
	}
	if (io_flush(i) == -1)
		return -1;
	r = i->recv(i, i->in_buf + i->tail, sizeof i->in_buf - i->tail);
	if (r <= 0)
		return r;
	i->tail += r;
	return 1;
}

int
io_fill(io *i)
{
	return i->head < i->tail ? 1 : more(i);
}

int
io_line(io *i, char const **s, size_t *n, size_t max)
{
	size_t seen = 0;
	int longer = 0, r;

	for (;;) {
		char *from = i->in_buf + i->head;
		char *lf = memchr(from + seen, '\n', i->tail - i->head - seen);
		size_t len = lf ? (size_t)(lf - from) : i->tail - i->head;

		if (len > max) {
			longer = 1;
			i->head += len;
			len = 0;
		}
		if (lf) {
			i->head += len + 1;
			*s = from;
			*n = len;
			if (longer)
				errno = EMSGSIZE;
			return longer ? -1 : 1;
		}
		seen = len;
		r = more(i);
		if (r != 1)
			return r;
	}
}

int
io_put(io *i, char const *s, size_t n)
{
	if (n > sizeof i->out_buf - i->used && io_flush(i) == -1)
		return -1;
	if (n > sizeof i->out_buf)
		return i->send(i, s, n);
	memcpy(i->out_buf + i->used, s, n);
	i->used += n;
	return 1;
}

int
io_puts(io *i, char const *s)
{
	return io_put(i, s, strlen(s));
}

int
io_flush(io *i)
{
	size_t n = i->used;

	i->used = 0;
	return n ? i->send(i, i->out_buf, n) : 1;
}

int
io_pending(io const *i)
{
	return i->head < i->tail;
}

void
io_discard(io *i)
{
	i->head = i->tail = 0;
}
