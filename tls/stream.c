#include "tls/stream.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "lib/clock.h"

enum {
	ROOM = 16384,		/* a TLS record's */
	GOODBYE = 10		/* seconds for what was said last */
};

struct pipe {
	char buf[ROOM];
	size_t at, n;		/* buf[at..n) is under way */
	int ended;		/* its source */
	short wants;		/* what the TLS side needs to go on */
};

struct stream {
	SSL *ssl;
	int fd, clear;
	struct pipe up, down;	/* to the network, from it */
};

/* The event for which an attempt waits; 0: none, it is over. */
static short
wanted(SSL *ssl, int result)
{
	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return POLLIN;
	case SSL_ERROR_WANT_WRITE:
		return POLLOUT;
	default:
		return 0;
	}
}

int
stream_wait(SSL *ssl, int result, int fd, long until)
{
	struct pollfd p = { fd, wanted(ssl, result), 0 };
	long left;
	int r;

	if (!p.events)
		return 0;
	do {
		left = until - (long)clock_seconds();
		if (left <= 0)
			return -1;
		r = poll(&p, 1, left > 100000 ? 100000000 : (int)left * 1000);
	} while (r == 0 || (r == -1 && errno == EINTR));
	return r == -1 ? 0 : 1;
}

static int
again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Each moves some bytes: 1; 0 none for now. */
static int
read_clear(struct stream *s)
{
	ssize_t r;

	if (s->up.ended || s->up.n)
		return 0;
	r = read(s->clear, s->up.buf, ROOM);
	if (r == -1 && again())
		return 0;
	s->up.ended = r <= 0;
	s->up.at = 0;
	s->up.n = r > 0 ? r : 0;
	return 1;
}

static int
write_clear(struct stream *s)
{
	struct pipe *d = &s->down;
	ssize_t r;

	if (!d->n)
		return 0;
	r = write(s->clear, d->buf + d->at, d->n - d->at);
	if (r == -1 && again())
		return 0;
	if (r == -1) {		/* nobody wants it any more */
		s->up.ended = d->ended = 1;
		d->n = 0;
		return 1;
	}
	d->at += r;
	if (d->at == d->n)
		d->n = 0;
	return 1;
}

static int
read_tls(struct stream *s)
{
	struct pipe *d = &s->down;
	int r;

	if (d->ended || d->n)
		return 0;
	r = SSL_read(s->ssl, d->buf, ROOM);
	d->wants = r > 0 ? 0 : wanted(s->ssl, r);
	if (d->wants)
		return 0;
	d->ended = r <= 0;
	d->at = 0;
	d->n = r > 0 ? r : 0;
	return 1;
}

static int
write_tls(struct stream *s)
{
	struct pipe *u = &s->up;
	int r;

	if (!u->n)
		return 0;
	r = SSL_write(s->ssl, u->buf + u->at, u->n - u->at);
	u->wants = r > 0 ? 0 : wanted(s->ssl, r);
	if (u->wants)
		return 0;
	if (r <= 0) {		/* and then nothing can be read either */
		u->ended = s->down.ended = 1;
		u->n = 0;
		return 1;
	}
	u->at += r;
	if (u->at == u->n)
		u->n = 0;
	return 1;
}

static int
over(struct stream const *s)
{
	return (s->up.ended && !s->up.n) || (s->down.ended && !s->down.n);
}

/* 1; 0 nothing will happen any more */
static int
sleep_until_ready(struct stream *s)
{
	struct pollfd p[2] = { { s->fd, 0, 0 }, { s->clear, 0, 0 } };
	int r;

	if (s->up.n)
		p[0].events |= s->up.wants;
	if (!s->down.n && !s->down.ended)
		p[0].events |= s->down.wants;
	if (!s->up.n && !s->up.ended)
		p[1].events |= POLLIN;
	if (s->down.n)
		p[1].events |= POLLOUT;
	/* not asked about, it would only tell of its end, again and again */
	if (!p[1].events)
		p[1].fd = -1;
	do
		r = poll(p, 2, s->up.ended ? GOODBYE * 1000 : -1);
	while (r == -1 && errno == EINTR);
	return r > 0;
}

void
stream_run(SSL *ssl, int fd, int clear)
{
	static struct stream s;

	s.ssl = ssl;
	s.fd = fd;
	s.clear = clear;
	while (!over(&s)) {
		int moved = read_tls(&s);

		moved |= write_clear(&s);
		moved |= read_clear(&s);
		moved |= write_tls(&s);
		if (!moved && !over(&s) && !sleep_until_ready(&s))
			return;
	}
	SSL_shutdown(ssl);
}
