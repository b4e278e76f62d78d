#include "lib/ucspitls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/clock.h"
#include "lib/session.h"
#include "lib/tlshandover.h"

enum { FACTS = 16384 };	/* bytes; a certificate may be among them */

static int
descriptor(char const *name)
{
	char const *s = getenv(name);
	unsigned int fd;
	int r = -1;

	if (s && uint0_scan(s, &fd) && fd < 65536 &&
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		r = fd;
	unsetenv(name);
	return r;
}

int
ucspitls_offered(struct ucspitls *t)
{
	t->control = descriptor("SSLCTLFD");
	t->read = descriptor("SSLREADFD");
	t->write = descriptor("SSLWRITEFD");
	t->tlsd = 0;
	if (t->control != -1 && t->read != -1 && t->write != -1)
		return 1;
	t->tlsd = getenv("TLSD");
	return t->tlsd && *t->tlsd && access(t->tlsd, W_OK) == 0;
}

/* Gives descriptor 0 to tlsd, and its ends of two sockets.  1, -1. */
static int
hand_over(struct ucspitls *t)
{
	struct tlshandover h = { .net = 0 };
	char const *remote = getenv("TCPREMOTEIP");
	int control[2], clear[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) == -1)
		return -1;
	t->control = control[0];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, clear) == -1) {
		close(control[0]);
		close(control[1]);
		return -1;
	}
	t->read = t->write = clear[0];
	h.control = control[1];
	h.clear = clear[1];
	snprintf(h.session, sizeof h.session, "%s", session_id());
	snprintf(h.remote, sizeof h.remote, "%s", remote ? remote : "");
	r = tlshandover_send(t->tlsd, &h);
	close(control[1]);
	close(clear[1]);
	if (r == -1) {
		close(t->control);
		close(t->read);
	}
	return r;
}

/* Some bytes.  Their number; 0 at the end; -1. */
static ssize_t
hear(int fd, char *s, size_t max, uint64_t until)
{
	struct pollfd p = { fd, POLLIN, 0 };
	uint64_t now = clock_ms();
	int r;

	do {
		if (now >= until) {
			errno = ETIMEDOUT;
			return -1;
		}
		r = poll(&p, 1, until - now);
		now = clock_ms();
	} while (r == 0 || (r == -1 && errno == EINTR));
	return r == -1 ? -1 : read(fd, s, max);
}

/* Up to the empty string at the end.  As ucspitls_start. */
static int
hear_facts(int fd, char *s, size_t *n, uint64_t until)
{
	ssize_t r;

	*n = 0;
	do {
		if (*n == FACTS) {
			errno = EPROTO;
			return -1;
		}
		r = hear(fd, s + *n, FACTS - *n, until);
		if (r <= 0)
			return r;
		*n += r;
	} while (*n < 2 || s[*n-1] || s[*n-2]);
	return 1;
}

/* NAME=value NUL; of those that speak of TLS, and of no other. */
static int
keep_facts(char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i += strlen(s + i) + 1) {
		char *equal = strchr(s + i, '=');

		if (strncmp(s + i, "SSL_", 4) != 0 || !equal)
			continue;
		*equal = 0;
		if (setenv(s + i, equal + 1, 1) == -1)
			return -1;
		i += strlen(s + i) + 1;
	}
	return 1;
}

static int
take_over(struct ucspitls *t)
{
	if (dup2(t->read, 0) == -1 || dup2(t->write, 1) == -1)
		return -1;
	close(t->control);
	if (t->read > 1)
		close(t->read);
	if (t->write > 1 && t->write != t->read)
		close(t->write);
	t->control = t->read = t->write = -1;
	return 1;
}

int
ucspitls_ready(struct ucspitls *t)
{
	int r = t->tlsd ? hand_over(t) : 1;

	/* its ends are there now, as if a front end had made them */
	if (r == 1)
		t->tlsd = 0;
	return r;
}

int
ucspitls_start(struct ucspitls *t, unsigned int seconds)
{
	uint64_t until = clock_ms() + (uint64_t)seconds * 1000;
	char facts[FACTS];
	char const *protocol;
	size_t n;
	int r;

	if (send(t->control, "Y", 1, MSG_NOSIGNAL) != 1)
		return -1;
	r = hear_facts(t->control, facts, &n, until);
	if (r == 1)
		r = keep_facts(facts, n);
	if (r != 1)
		return r;
	/* what tells whoever is started from here that it is encrypted */
	protocol = getenv("SSL_PROTOCOL");
	if ((!protocol || !*protocol) &&
	    setenv("SSL_PROTOCOL", "unknown", 1) == -1)
		return -1;
	return take_over(t);
}
