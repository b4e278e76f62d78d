#include "lib/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Room for one descriptor, aligned as sendmsg wants it. */
union control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static int
address(struct sockaddr_un *a, char const *path)
{
	size_t n = strlen(path);

	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	if (n >= sizeof a->sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a->sun_path, path, n);
	return 1;
}

static int
close_keep_errno(int fd)
{
	int e = errno;

	close(fd);
	errno = e;
	return -1;
}

static int
timeout(int sock, int which, unsigned int seconds)
{
	struct timeval t = { .tv_sec = seconds };

	return setsockopt(sock, SOL_SOCKET, which, &t, sizeof t) == -1 ? -1 : 1;
}

int
packet_timeout(int sock, unsigned int seconds)
{
	return timeout(sock, SO_RCVTIMEO, seconds);
}

int
packet_connect(char const *path)
{
	struct sockaddr_un a;
	int s, r;

	if (address(&a, path) == -1)
		return -1;
	s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s == -1)
		return -1;
	timeout(s, SO_SNDTIMEO, 60);
	do
		r = connect(s, (struct sockaddr *)&a, sizeof a);
	while (r == -1 && errno == EINTR);
	return r == -1 ? close_keep_errno(s) : s;
}

int
packet_listen(char const *path, int mode, int backlog)
{
	struct sockaddr_un a;
	mode_t old;
	int s, r;

	if (address(&a, path) == -1)
		return -1;
	s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s == -1)
		return -1;
	unlink(path);
	/* from the start, or who comes early is told that he may not */
	old = umask(0777 & ~mode);
	r = bind(s, (struct sockaddr *)&a, sizeof a);
	umask(old);
	if (r == -1 || listen(s, backlog) == -1)
		return close_keep_errno(s);
	return s;
}

int
packet_send(int sock, char const *s, size_t n, int fd)
{
	union control control;
	struct iovec v = { (char *)s, n };
	struct msghdr m;
	ssize_t r;

	memset(&m, 0, sizeof m);
	m.msg_iov = &v;
	m.msg_iovlen = 1;
	if (fd != -1) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof control);
		m.msg_control = control.space;
		m.msg_controllen = sizeof control.space;
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	do
		r = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (r == -1 && errno == EINTR);
	return r == -1 ? -1 : 1;
}

/* The descriptor that came along, if it is one; -1.  The room for one is, by
 * its alignment, room for two: of more than one we keep none open.
 */
static int
passed(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd[sizeof(union control) / sizeof(int)];
	size_t n, i;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof *fd;
	memcpy(fd, CMSG_DATA(c), n * sizeof *fd);
	if (n == 1)
		return *fd;
	for (i = 0; i < n; i++)
		close(fd[i]);
	return -1;
}

int
packet_recv(int sock, char *s, size_t max, size_t *n, int *fd)
{
	union control control;
	struct iovec v = { s, max };
	struct msghdr m;
	ssize_t r;
	int got;

	memset(&m, 0, sizeof m);
	m.msg_iov = &v;
	m.msg_iovlen = 1;
	m.msg_control = control.space;
	m.msg_controllen = sizeof control.space;
	do
		r = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (r == -1 && errno == EINTR);
	if (r == -1)
		return -1;
	got = passed(&m);
	if (got != -1 && (!fd || r == 0 || m.msg_flags & MSG_TRUNC)) {
		close(got);
		got = -1;
	}
	if (fd)
		*fd = got;
	if (m.msg_flags & MSG_TRUNC) {
		errno = EMSGSIZE;
		return -1;
	}
	*n = r;
	return r != 0;
}

int
packet_peer(int sock, pid_t *pid, uid_t *uid)
{
	struct ucred c;
	socklen_t n = sizeof c;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &c, &n) == -1)
		return -1;
	*pid = c.pid;
	*uid = c.uid;
	return 1;
}
