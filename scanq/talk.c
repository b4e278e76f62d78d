#include "scanq/talk.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <skalibs/types.h>

enum { CONNECT_MS = 5000 };	/* for a connection to one server */

int
talk_server(struct talk_server *s, char const *entry)
{
	char const *colon = strrchr(entry, ':');
	size_t n;

	s->name = entry;
	s->path = *entry == '/' ? entry : 0;
	if (s->path)
		return strlen(entry) <
		    sizeof ((struct sockaddr_un *)0)->sun_path;
	if (!colon || !uint0_scan(colon + 1, &s->port) || !s->port ||
	    s->port > 65535)
		return 0;
	n = (size_t)(colon - entry);
	if (n >= 2 && *entry == '[' && entry[n - 1] == ']') {
		entry++;
		n -= 2;
	}
	return ipaddr_scan(entry, n, &s->ip);
}

void
talk_deadline(struct talk *t, unsigned int seconds)
{
	clock_gettime(CLOCK_MONOTONIC, &t->deadline);
	t->deadline.tv_sec += seconds;
}

int
talk_milliseconds(struct talk const *t)
{
	struct timespec now;
	long long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (long long)(t->deadline.tv_sec - now.tv_sec) * 1000 +
	    (t->deadline.tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : ms > 86400000 ? 86400000 : (int)ms;
}

void
talk_trouble(struct talk *t, char const *why, int e)
{
	t->why = why;
	t->error = e;
}

void
talk_misunderstood(struct talk *t, char const *s, size_t n)
{
	size_t i;

	while (n && (s[n - 1] == 0 || s[n - 1] == '\n'))
		n--;
	for (i = 0; i < n && i < sizeof t->answer - 1; i++)
		t->answer[i] = s[i] < 32 || s[i] > 126 ? '?' : s[i];
	t->answer[i] = 0;
	talk_trouble(t, n ? "not a verdict" : "empty answer", 0);
}

/* Waits for events.  1; 0: an error, or the time is over. */
static int
ready(struct talk *t, int fd, short events, int most)
{
	struct pollfd p = { fd, events, 0 };
	int ms = talk_milliseconds(t), r;

	if (most >= 0 && most < ms)
		ms = most;
	do
		r = poll(&p, 1, ms);
	while (r == -1 && errno == EINTR);
	if (r == 0)
		errno = ETIMEDOUT;
	return r == 1;
}

static int
start_connect(struct talk_server const *s, int fd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_storage ss;
	socklen_t n;

	if (s->path) {
		memcpy(un.sun_path, s->path, strlen(s->path));
		return connect(fd, (struct sockaddr *)&un, sizeof un);
	}
	n = ipaddr_to(&s->ip, s->port, &ss);
	return connect(fd, (struct sockaddr *)&ss, n);
}

int
talk_dial(struct talk *t, struct talk_server const *s)
{
	int family = s->path ? AF_UNIX : ipaddr_is4(&s->ip) ? AF_INET :
	    AF_INET6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int e = 0;
	socklen_t n = sizeof e;

	t->at = s->name;
	if (fd == -1) {
		talk_trouble(t, "unable to make a socket", errno);
		return -1;
	}
	if (start_connect(s, fd) == -1) {
		e = errno;
		/* EAGAIN: a unix socket's backlog is full */
		if (e == EINPROGRESS && ready(t, fd, POLLOUT, CONNECT_MS))
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n);
	}
	if (!e)
		return fd;
	close(fd);
	talk_trouble(t, "unable to connect", e);
	return -1;
}

int
talk_send(struct talk *t, int fd, char const *s, size_t n, int pass)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec v;
	struct msghdr m;
	ssize_t r;

	while (n) {
		v.iov_base = (char *)s;
		v.iov_len = n;
		memset(&m, 0, sizeof m);
		m.msg_iov = &v;
		m.msg_iovlen = 1;
		if (pass != -1) {
			memset(&control, 0, sizeof control);
			m.msg_control = &control;
			m.msg_controllen = sizeof control;
			CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
			CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
			CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof pass);
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &pass,
			    sizeof pass);
		}
		r = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (r > 0) {
			s += r;
			n -= (size_t)r;
			pass = -1;
		} else if (errno == EAGAIN) {
			if (!ready(t, fd, POLLOUT, -1))
				return 0;
		} else if (errno != EINTR) {
			return 0;
		}
	}
	return 1;
}

ssize_t
talk_hear(struct talk *t, int fd, char *s, size_t max)
{
	size_t n = 0;
	ssize_t r;

	for (;;) {
		r = recv(fd, s + n, max - n, 0);
		if (r == 0)
			return (ssize_t)n;
		if (r > 0) {
			n += (size_t)r;
			if (n == max) {
				errno = EMSGSIZE;
				return -1;
			}
		} else if (errno == EAGAIN) {
			if (!ready(t, fd, POLLIN, -1))
				return -1;
		} else if (errno == ECONNRESET && n) {
			return (ssize_t)n;
		} else if (errno != EINTR) {
			return -1;
		}
	}
}
