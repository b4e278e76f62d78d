#include "scanq/clamd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <skalibs/types.h>

enum {
	CONNECT_MS = 5000,	/* for a connection to one server */
	CHUNK = 65536		/* of a stream; what clamd reads at once */
};

static int
read_server(struct clamd_server *s, char const *entry)
{
	char const *colon = strrchr(entry, ':');
	size_t n;

	s->name = entry;
	s->no_fildes = 0;
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

int
clamd_servers(struct clamd *c, stralloc const *list, char const **bad)
{
	size_t i;

	memset(c, 0, sizeof *c);
	for (i = 0; i < list->len; i += strlen(list->s + i) + 1) {
		*bad = list->s + i;
		if (c->servers == CLAMD_SERVERS ||
		    !read_server(c->server + c->servers, list->s + i))
			return 0;
		c->servers++;
	}
	return 1;
}

void
clamd_deadline(struct clamd *c, unsigned int seconds)
{
	clock_gettime(CLOCK_MONOTONIC, &c->deadline);
	c->deadline.tv_sec += seconds;
}

static int
milliseconds(struct clamd const *c)
{
	struct timespec now;
	long long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (long long)(c->deadline.tv_sec - now.tv_sec) * 1000 +
	    (c->deadline.tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : ms > 86400000 ? 86400000 : (int)ms;
}

static void
trouble(struct clamd *c, char const *why, int e)
{
	c->why = why;
	c->error = e;
}

/* Waits for events.  1; 0: an error, or the time is over. */
static int
ready(struct clamd *c, int fd, short events, int most)
{
	struct pollfd p = { fd, events, 0 };
	int ms = milliseconds(c), r;

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
start_connect(struct clamd_server const *s, int fd)
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

/* A connection to a server, or -1. */
static int
dial(struct clamd *c, struct clamd_server const *s)
{
	int family = s->path ? AF_UNIX : ipaddr_is4(&s->ip) ? AF_INET :
	    AF_INET6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int e = 0;
	socklen_t n = sizeof e;

	c->at = s->name;
	if (fd == -1) {
		trouble(c, "unable to make a socket", errno);
		return -1;
	}
	if (start_connect(s, fd) == -1) {
		e = errno;
		/* EAGAIN: a unix socket's backlog is full */
		if (e == EINPROGRESS && ready(c, fd, POLLOUT, CONNECT_MS))
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n);
	}
	if (!e)
		return fd;
	close(fd);
	trouble(c, "unable to connect", e);
	return -1;
}

/* Sends all of it, with descriptor pass unless that is -1.  1, 0. */
static int
send_all(struct clamd *c, int fd, char const *s, size_t n, int pass)
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
			if (!ready(c, fd, POLLOUT, -1))
				return 0;
		} else if (errno != EINTR) {
			return 0;
		}
	}
	return 1;
}

static int
send_stream(struct clamd *c, int fd, char const *data, size_t n)
{
	char head[4];
	size_t k;

	if (!send_all(c, fd, "zINSTREAM", 10, -1))
		return 0;
	while (n) {
		k = n < CHUNK ? n : CHUNK;
		uint32_pack_big(head, (uint32_t)k);
		if (!send_all(c, fd, head, 4, -1) ||
		    !send_all(c, fd, data, k, -1))
			return 0;
		data += k;
		n -= k;
	}
	memset(head, 0, 4);
	return send_all(c, fd, head, 4, -1);
}

/* The answer, up to the end of the connection.  Its length; -1. */
static ssize_t
hear(struct clamd *c, int fd, char *s, size_t max)
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
			if (!ready(c, fd, POLLIN, -1))
				return -1;
		} else if (errno == ECONNRESET && n) {
			return (ssize_t)n;
		} else if (errno != EINTR) {
			return -1;
		}
	}
}

/* Keeps what a server said, printable, for the log. */
static void
keep_answer(struct clamd *c, char const *s, size_t n)
{
	size_t i;

	while (n && (s[n - 1] == 0 || s[n - 1] == '\n'))
		n--;
	for (i = 0; i < n && i < sizeof c->answer - 1; i++)
		c->answer[i] = s[i] < 32 || s[i] > 126 ? '?' : s[i];
	c->answer[i] = 0;
	trouble(c, n ? "not a verdict" : "empty answer", 0);
}

static int
keep_name(stralloc *name, char const *s, size_t n)
{
	size_t i;

	if (!stralloc_copyb(name, s, n < 200 ? n : 200))
		return -1;
	for (i = 0; i < name->len; i++)
		if (name->s[i] <= 32 || name->s[i] > 126)
			name->s[i] = '?';
	return 1;
}

/* One question over one connection. */
static enum clamd_verdict
ask(struct clamd *c, struct clamd_server *s, int pass, char const *data,
    size_t n, stralloc *name)
{
	enum clamd_verdict v = CLAMD_UNKNOWN;
	char answer[CLAMD_REPLY];
	char const *found;
	size_t len;
	ssize_t got;
	int fd = dial(c, s), sent;

	if (fd == -1)
		return v;
	/* the byte behind the command is the one that carries it */
	sent = pass != -1 ? send_all(c, fd, "zFILDES\0", 9, pass) :
	    send_stream(c, fd, data, n);
	if (!sent)
		trouble(c, "unable to send", errno);
	if (sent || errno == EPIPE || errno == ECONNRESET) {
		got = hear(c, fd, answer, sizeof answer);
		if (got == -1) {
			trouble(c, "no answer", errno);
		} else {
			v = clamdreply(answer, (size_t)got, pass != -1,
			    &found, &len);
			/* a verdict on a part of it is none */
			if (v == CLAMD_CLEAN && !sent)
				v = CLAMD_UNKNOWN;
			if (v == CLAMD_UNKNOWN)
				keep_answer(c, answer, (size_t)got);
		}
	}
	if (v == CLAMD_FOUND && keep_name(name, found, len) == -1) {
		trouble(c, "out of memory", errno);
		v = CLAMD_UNKNOWN;
	}
	close(fd);
	return v;
}

static enum clamd_verdict
ask_server(struct clamd *c, struct clamd_server *s, int fd,
    char const *data, size_t n, stralloc *name)
{
	enum clamd_verdict v;

	if (s->path && fd != -1 && !s->no_fildes) {
		v = ask(c, s, fd, data, n, name);
		/* AppArmor, a list of allowed commands: it did answer */
		if (v != CLAMD_UNKNOWN || c->error)
			return v;
		s->no_fildes = 1;
	}
	return ask(c, s, -1, data, n, name);
}

enum clamd_verdict
clamd_scan(struct clamd *c, int fd, char const *data, size_t n,
    stralloc *name)
{
	enum clamd_verdict v = CLAMD_UNKNOWN;

	c->answer[0] = 0;
	trouble(c, "no server", 0);
	if (fd != -1 && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
		fd = -1;
	/* one that has failed is not asked again for this message */
	for (; c->current < c->servers; c->current++) {
		if (!milliseconds(c)) {
			trouble(c, "out of time", ETIMEDOUT);
			break;
		}
		v = ask_server(c, c->server + c->current, fd, data, n, name);
		if (v != CLAMD_UNKNOWN)
			break;
	}
	return v;
}

int
clamd_version(struct clamd *c, stralloc *out)
{
	char answer[CLAMD_REPLY];
	ssize_t n = -1;
	size_t i;
	int fd;

	if (c->current >= c->servers)
		return 0;
	fd = dial(c, c->server + c->current);
	if (fd == -1)
		return 0;
	if (send_all(c, fd, "zVERSION", 9, -1))
		n = hear(c, fd, answer, sizeof answer);
	close(fd);
	if (n < 8 || memcmp(answer, "ClamAV ", 7) ||
	    memchr(answer, 0, (size_t)n) != answer + n - 1)
		return 0;
	for (i = 0; i < (size_t)n - 1; i++)
		if (answer[i] < 32 || answer[i] > 126)
			answer[i] = '?';
	return stralloc_copyb(out, answer, n < 120 ? (size_t)n - 1 : 120) &&
	    stralloc_0(out);
}
