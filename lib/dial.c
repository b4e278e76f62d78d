#include "lib/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"

/* 1 connected; -1 */
static int
wait_for(int fd, unsigned int seconds)
{
	struct pollfd p = { fd, POLLOUT, 0 };
	uint64_t until = clock_ms() + (uint64_t)seconds * 1000, at;
	int r, e = 0;
	socklen_t n = sizeof e;

	do {
		at = clock_ms();
		if (at >= until) {
			errno = ETIMEDOUT;
			return -1;
		}
		r = poll(&p, 1, until - at > 1000000 ? 1000000 : until - at);
	} while (r == 0 || (r == -1 && errno == EINTR));
	if (r == -1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) == -1)
		return -1;
	errno = e;
	return e ? -1 : 1;
}

static int
from_to(int fd, struct ipaddr const *to, unsigned int port,
    struct ipaddr const *from, unsigned int seconds)
{
	struct sockaddr_storage ss;
	socklen_t n;
	int one = 1;

	/* 43 ms a message without it, if the server delays its ACKs */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (from) {
		n = ipaddr_to(from, 0, &ss);
		if (bind(fd, (struct sockaddr *)&ss, n) == -1)
			return -1;
	}
	n = ipaddr_to(to, port, &ss);
	if (connect(fd, (struct sockaddr *)&ss, n) == 0)
		return 1;
	/* interrupted, it goes on by itself */
	if (errno != EINPROGRESS && errno != EINTR)
		return -1;
	return wait_for(fd, seconds);
}

int
dial(struct ipaddr const *to, unsigned int port, struct ipaddr const *from,
    unsigned int seconds)
{
	int fd = socket(ipaddr_is4(to) ? AF_INET : AF_INET6,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), e;

	if (fd == -1 || from_to(fd, to, port, from, seconds) == 1)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}
