/* Without skalibs: tlsrun and tlsd are of two worlds. */
#include "lib/tlshandover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FDS = 3 };

/* room for one set of descriptors, aligned as sendmsg wants it */
union control {
	char space[CMSG_SPACE(FDS * sizeof(int))];
	struct cmsghdr align;
};

static int
connect_now(char const *path)
{
	struct sockaddr_un a;
	size_t n = strlen(path);
	int s, e;

	memset(&a, 0, sizeof a);
	a.sun_family = AF_UNIX;
	if (n >= sizeof a.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, n);
	s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s == -1)
		return -1;
	if (connect(s, (struct sockaddr *)&a, sizeof a) == -1) {
		e = errno;
		close(s);
		errno = e;
		return -1;
	}
	return s;
}

static size_t
put(char *out, char const *field)
{
	size_t n = strnlen(field, TLSHANDOVER_TEXT - 1);

	memcpy(out, field, n);
	out[n] = 0;
	return n + 1;
}

static int
send_record(int sock, char *text, size_t n, int const *fds)
{
	union control control;
	struct iovec v = { text, n };
	struct msghdr m;
	struct cmsghdr *c;
	ssize_t r;

	memset(&m, 0, sizeof m);
	memset(&control, 0, sizeof control);
	m.msg_iov = &v;
	m.msg_iovlen = 1;
	m.msg_control = control.space;
	m.msg_controllen = sizeof control.space;
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(FDS * sizeof(int));
	memcpy(CMSG_DATA(c), fds, FDS * sizeof(int));
	do
		r = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (r == -1 && errno == EINTR);
	return r == -1 ? -1 : 1;
}

int
tlshandover_send(char const *path, struct tlshandover const *h)
{
	int const fds[FDS] = { h->control, h->net, h->clear };
	char text[2 * TLSHANDOVER_TEXT];
	size_t n = put(text, h->session);
	int s = connect_now(path);
	int r, e;

	if (s == -1)
		return -1;
	n += put(text + n, h->remote);
	r = send_record(s, text, n, fds);
	e = errno;
	close(s);
	errno = e;
	return r;
}

/* How many descriptors came; fds has room for what control has. */
static size_t
passed(struct msghdr *m, int *fds)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t n;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return 0;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	return n;
}

/* Takes the two fields of text[0..n).  1, 0 */
static int
parse(char const *text, size_t n, struct tlshandover *h)
{
	size_t a = strnlen(text, n);
	size_t b = a < n ? strnlen(text + a + 1, n - a - 1) : 0;

	if (a + b + 2 != n || a >= TLSHANDOVER_TEXT || b >= TLSHANDOVER_TEXT)
		return 0;
	memcpy(h->session, text, a + 1);
	memcpy(h->remote, text + a + 1, b + 1);
	return 1;
}

int
tlshandover_receive(int sock, struct tlshandover *h)
{
	union control control;
	char text[2 * TLSHANDOVER_TEXT];
	struct iovec v = { text, sizeof text };
	struct msghdr m;
	int fds[sizeof control / sizeof(int)];
	size_t n, i;
	ssize_t r;

	memset(&m, 0, sizeof m);
	m.msg_iov = &v;
	m.msg_iovlen = 1;
	m.msg_control = control.space;
	m.msg_controllen = sizeof control.space;
	r = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (r == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	n = passed(&m, fds);
	if (r && n == FDS && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	    parse(text, r, h)) {
		h->control = fds[0];
		h->net = fds[1];
		h->clear = fds[2];
		return 1;
	}
	for (i = 0; i < n; i++)
		close(fds[i]);
	return -1;
}
