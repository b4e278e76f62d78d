#include "rblcheck/ident.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "rblcheck/lookup.h"

enum { PORT = 113, ANSWER = 1000 };	/* RFC 1413 4: at most 1000 bytes */

/* Waits for events.  1; 0: trouble, or the time is over. */
static int
ready(int fd, short events, uint64_t until)
{
	struct pollfd p = { fd, events, 0 };
	uint64_t now;
	int r;

	do {
		now = clock_ms();
		r = now < until ? poll(&p, 1, (int)(until - now)) : 0;
	} while (r == -1 && errno == EINTR);
	return r == 1;
}

/* From the address that the client knows, as the answer is about that. */
static int
dial(struct ident const *i, uint64_t until)
{
	struct sockaddr_storage local, remote;
	socklen_t n = ipaddr_to(&i->local, 0, &local);
	socklen_t rn = ipaddr_to(&i->remote, PORT, &remote), len;
	int e = 0, fd = socket(remote.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	len = sizeof e;
	if (bind(fd, (struct sockaddr *)&local, n) == 0 &&
	    (connect(fd, (struct sockaddr *)&remote, rn) == 0 ||
	    (errno == EINPROGRESS && ready(fd, POLLOUT, until) &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) == 0 && e == 0)))
		return fd;
	close(fd);
	return -1;
}

/* "6193, 23 : USERID : UNIX : stjohns" */
static int
parse(char const *s, size_t n, char out[IDENT_NAME + 1])
{
	char const *end = memchr(s, '\n', n), *p = s;
	size_t k = 0;
	int field;

	if (!end)
		return 0;
	for (field = 0; field < 3; field++) {
		p = memchr(p, ':', (size_t)(end - p));
		if (!p)
			return 0;
		p++;
		if (field == 0 && !memmem(p, (size_t)(end - p), "USERID", 6))
			return 0;
	}
	for (; p < end && k < IDENT_NAME; p++)
		if (*p > ' ' && *p < 127)
			out[k++] = *p;
	out[k] = 0;
	return k > 0;
}

static int
talk(int fd, struct ident const *i, uint64_t until, char out[IDENT_NAME + 1])
{
	char text[40], answer[ANSWER];
	int n = snprintf(text, sizeof text, "%u , %u\r\n", i->remote_port,
	    i->local_port);
	size_t have = 0;
	ssize_t r;

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		return 0;
	while (have < sizeof answer && !memchr(answer, '\n', have)) {
		if (!ready(fd, POLLIN, until))
			return 0;
		r = recv(fd, answer + have, sizeof answer - have, 0);
		if (r == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (r <= 0)
			return 0;
		have += (size_t)r;
	}
	return parse(answer, have, out);
}

int
ident_ask(struct ident const *i, uint64_t until, char out[IDENT_NAME + 1])
{
	int fd = dial(i, until), r;

	if (fd == -1)
		return 0;
	r = talk(fd, i, until, out);
	close(fd);
	return r;
}
