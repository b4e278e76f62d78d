#include "tls/pump.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { ROUNDS = 4 };	/* records at a time: others want their turn */

/* One for all: what does not go on at once is copied. */
static char record[PUMP_RECORD];

void
pump_drop(struct half *h)
{
	if (h->left)
		explicit_bzero(h->left, h->at + h->len);
	free(h->left);
	h->left = 0;
	h->len = 0;
}

static int
keep(struct half *h, char const *s, size_t n)
{
	h->left = malloc(n);
	if (!h->left)
		return -1;
	memcpy(h->left, s, n);
	h->at = 0;
	h->len = n;
	return 1;
}

/* n of them have gone, of what was kept */
static void
went(struct half *h, size_t n)
{
	h->at += n;
	h->len -= n;
	if (!h->len)
		pump_drop(h);
}

/* To the program.  How many bytes went; one that does not read any longer
 * gets them all.
 */
static size_t
to_program(struct conn *c, char const *s, size_t n)
{
	ssize_t r = send(c->clear.fd, s, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r >= 0)
		return (size_t)r;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : n;
}

uint32_t
pump_waits(SSL *tls, int r)
{
	switch (SSL_get_error(tls, r)) {
	case SSL_ERROR_WANT_READ: return EPOLLIN;
	case SSL_ERROR_WANT_WRITE: return EPOLLOUT;
	default: return 0;
	}
}

char const *
pump_reason(void)
{
	int e = errno;
	unsigned long code = ERR_peek_last_error();
	char const *s = code ? ERR_reason_error_string(code) : 0;

	ERR_clear_error();
	return s ? s : e ? strerror(e) : "connection closed";
}

/* 1 and h->net if it has to wait, -1 if it failed */
static int
waits(struct conn *c, struct half *h, int r)
{
	h->net = pump_waits(c->tls, r);
	return h->net ? 1 : -1;
}

int
pump_in(struct conn *c, int *moved)
{
	struct half *h = &c->in;
	size_t went_now;
	int i, n;

	h->net = 0;
	for (i = 0; i < ROUNDS; i++) {
		if (h->len) {
			went_now = to_program(c, h->left + h->at, h->len);
			*moved |= went_now > 0;
			went(h, went_now);
			if (h->len)
				return 1;
		}
		if (h->ended) {
			if (!h->passed)
				shutdown(c->clear.fd, SHUT_WR);
			h->passed = 1;
			return 1;
		}
		errno = 0;
		n = SSL_read(c->tls, record, sizeof record);
		if (n <= 0) {
			h->ended = SSL_get_error(c->tls, n) ==
			    SSL_ERROR_ZERO_RETURN;
			if (!h->ended)
				return waits(c, h, n);
			n = 0;
		}
		went_now = n ? to_program(c, record, n) : 0;
		*moved |= went_now > 0;
		if (went_now < (size_t)n &&
		    keep(h, record + went_now, n - went_now) == -1)
			return -1;
	}
	c->more = 1;
	return 1;
}

/* Everything has been sent: tells the client so. */
static int
pass_end(struct conn *c)
{
	int r;

	if (c->out.passed)
		return 1;
	r = SSL_shutdown(c->tls);
	if (r < 0 && pump_waits(c->tls, r) == EPOLLOUT) {
		c->out.net = EPOLLOUT;
		return 1;
	}
	/* a client that has closed without a word does not hear it */
	ERR_clear_error();
	c->out.passed = 1;
	return 1;
}

/* To the client.  1: all; 0: it waits, and the rest is kept; -1. */
static int
to_client(struct conn *c, char const *s, size_t n, int *moved)
{
	struct half *h = &c->out;
	size_t done = 0;
	int r = 0;

	while (done < n) {
		errno = 0;
		r = SSL_write(c->tls, s + done, (int)(n - done));
		if (r <= 0)
			break;
		done += r;
		*moved = 1;
	}
	if (h->left)
		went(h, done);
	else if (done < n && keep(h, s + done, n - done) == -1)
		return -1;
	if (done == n)
		return 1;
	return waits(c, h, r) == 1 ? 0 : -1;
}

int
pump_out(struct conn *c, int *moved)
{
	struct half *h = &c->out;
	ssize_t n;
	int i, r;

	h->net = 0;
	for (i = 0; i < ROUNDS; i++) {
		if (h->len) {
			r = to_client(c, h->left + h->at, h->len, moved);
			if (r != 1)
				return r == 0 ? 1 : -1;
		}
		if (h->ended)
			return pass_end(c);
		n = recv(c->clear.fd, record, sizeof record, MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return 1;
		h->ended = n <= 0;
		if (n > 0) {
			r = to_client(c, record, n, moved);
			if (r != 1)
				return r == 0 ? 1 : -1;
		}
	}
	c->more = 1;
	return 1;
}
