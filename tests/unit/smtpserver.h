/* smtpserver: the conversation of remote with a server, held in memory, for
 * unit tests and the fuzzer.  The server's bytes come in pieces of any size, a
 * piece ends at '|' in any case: the server waits for us there; what is sent
 * to it is kept.
 */
#ifndef SMTPSERVER_H
#define SMTPSERVER_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <skalibs/stralloc.h>

#include "remote/transaction.h"

struct fake {
	char const *in;		/* what the server says */
	size_t n, pos;
	size_t piece;		/* bytes a read; 0: all there is */
	int then;		/* errno at the end of input; 0: EOF */
	stralloc out;		/* what it was sent */
	struct tls tls;		/* what is asked for */
	int no_tls;		/* the handshake fails */
	struct server server;
	struct content content;
	struct report report;
};

static struct fake fake;

static inline ssize_t
fake_recv(io *i, char *s, size_t max)
{
	char const *bar;
	size_t n;

	(void)i;
	while (fake.pos < fake.n && fake.in[fake.pos] == '|')
		fake.pos++;
	n = fake.n - fake.pos;
	if (!n && fake.then) {
		errno = fake.then;
		return -1;
	}
	if (n > max)
		n = max;
	if (fake.piece && n > fake.piece)
		n = fake.piece;
	bar = memchr(fake.in + fake.pos, '|', n);
	if (bar)
		n = bar - (fake.in + fake.pos);
	memcpy(s, fake.in + fake.pos, n);
	fake.pos += n;
	return n;
}

static inline int
fake_send(io *i, char const *s, size_t n)
{
	(void)i;
	return stralloc_catb(&fake.out, s, n) ? 1 : -1;
}

static inline uint64_t
fake_now(io *i)
{
	(void)i;
	return 1000;
}

/* In memory nothing tells what was said too early: a test may. */
static inline int
fake_early(struct server *s)
{
	(void)s;
	return 0;
}

/* In memory TLS is nothing but a word. */
static inline int
fake_encrypt(struct server *s, struct report *p)
{
	(void)s;
	if (fake.no_tls)
		report_temp(p, "TLS failed\n");
	return !fake.no_tls;
}

static inline void
fake_start(char const *in, size_t n, char const *body, size_t size)
{
	static int file = -1;

	if (file == -1)
		file = memfd_create("body", 0);
	if (file == -1 || ftruncate(file, 0) == -1 ||
	    pwrite(file, body, size, 0) != (ssize_t)size)
		abort();
	fake.in = in;
	fake.n = n;
	fake.pos = 0;
	fake.out.len = 0;
	io_init(&fake.server.io, -1, -1);
	fake.server.io.recv = fake_recv;
	fake.server.io.send = fake_send;
	fake.server.io.now = fake_now;
	fake.server.early = fake_early;
	fake.server.encrypt = fake_encrypt;
	fake.server.tls = &fake.tls;
	fake.server.how[0] = 0;
	fake.tls.why = "the test";
	memcpy(fake.server.name, "192.0.2.1", 10);
	fake.server.patience = 10;
	fake.server.until = 5000;
	fake.server.secure = 0;
	report_reset(&fake.report);
	if (content_start(&fake.content, file, size) == -1)
		abort();
}

/* A connection and a message on it: what server_ready or transaction said. */
static inline int
fake_run(struct smtproute const *route, char const *sender)
{
	struct mail m = { sender, &fake.content, route->policy, &fake.report,
	    0 };
	int r = server_ready(&fake.server, "me.example", route, &fake.report);

	return r == 1 ? transaction(&fake.server, &m) : r;
}

#endif
