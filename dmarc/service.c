#include "dmarc/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dmarc/result.h"
#include "lib/clock.h"
#include "lib/packet.h"

enum {
	GRACE = 2,		/* seconds: dmarcd watches the time itself */
	RESTART = 10		/* tenths of a second */
};

static int
connect_to(void)
{
	static struct timespec const pause = { 0, 100000000 };
	unsigned int tries = RESTART;
	int fd;

	/* one that is just being started anew is waited for */
	while ((fd = packet_connect(PROTOCOL_SOCKET)) == -1 && tries-- &&
	    errno == ECONNREFUSED)
		nanosleep(&pause, 0);
	return fd;
}

static size_t
put(char *to, char const *s)
{
	size_t n = strlen(s) + 1;

	memcpy(to, s, n);
	return n;
}

static int
send_question(int sock, struct facts const *q, int pipe)
{
	char s[PROTOCOL_QUESTION];
	size_t n = 1;

	s[0] = 'Q';
	n += put(s + n, q->ip);
	n += put(s + n, q->helo);
	n += put(s + n, q->sender);
	n += put(s + n, q->author);
	return packet_send(sock, s, n, pipe);
}

/* As much as it wants: it closes the pipe when it has seen enough. */
static void
send_message(int pipe, int file, off_t at, off_t end, uint64_t until)
{
	struct pollfd p = { pipe, POLLOUT, 0 };
	static char buf[65536];
	size_t have = 0, sent = 0;
	uint64_t now;
	ssize_t r;

	while (sent < have || at < end) {
		if (sent == have) {
			r = pread(file, buf, sizeof buf, at);
			if (r <= 0)
				return;
			have = (size_t)r;
			sent = 0;
			at += r;
		}
		now = clock_ms();
		if (now >= until || poll(&p, 1, (int)(until - now)) <= 0)
			return;
		r = write(pipe, buf + sent, have - sent);
		if (r == -1 && errno != EAGAIN && errno != EINTR)
			return;
		if (r > 0)
			sent += (size_t)r;
	}
}

static int
receive(int sock, uint64_t until, struct findings *out, char const **why)
{
	char answer[PROTOCOL_ANSWER];
	uint64_t now = clock_ms();
	size_t n;
	int r;

	packet_timeout(sock, now < until ?
	    1 + (unsigned int)((until - now) / 1000) : 1);
	errno = 0;
	r = packet_recv(sock, answer, sizeof answer, &n, 0);
	if (r == 1 && result_read(answer, n, out))
		return 1;
	*why = r == 1 ? "dmarcd says what is no answer" : r == 0 ?
	    "the check has failed" : errno == EAGAIN ?
	    "the check takes too long" : "dmarcd cannot be heard";
	return 0;
}

int
service_check(struct facts const *q, int file, off_t at, off_t end,
    struct findings *out, char const **why)
{
	uint64_t until = clock_ms() + (PROTOCOL_SECONDS + GRACE) * 1000;
	int sock = connect_to(), p[2], r;

	*why = "dmarcd cannot be reached";
	if (sock == -1)
		return 0;
	if (pipe2(p, O_CLOEXEC) == -1) {
		close(sock);
		return 0;
	}
	r = send_question(sock, q, p[0]);
	close(p[0]);
	if (r == 1 && fcntl(p[1], F_SETFL, O_NONBLOCK) == 0)
		send_message(p[1], file, at, end, until);
	close(p[1]);
	if (r == 1)
		r = receive(sock, until, out, why);
	close(sock);
	return r == 1;
}
