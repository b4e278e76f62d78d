#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/packet.h"
#include "tests/unit/tap.h"

static char buf[70000];
static int p[2];

static void
pair(void)
{
	close(p[0]);
	close(p[1]);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) == -1)
		_exit(111);
}

static int
open_descriptors(void)
{
	int n = 0, fd;

	for (fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
test_records(void)
{
	size_t n;

	pair();
	ok(packet_send(p[0], "hello", 5, -1) == 1 &&
	    packet_send(p[0], "you", 3, -1) == 1, "two records sent");
	ok(packet_recv(p[1], buf, sizeof buf, &n, 0) == 1 && n == 5 &&
	    !memcmp(buf, "hello", 5), "the first, alone");
	ok(packet_recv(p[1], buf, sizeof buf, &n, 0) == 1 && n == 3,
	    "the second");
	packet_send(p[0], "too long", 8, -1);
	packet_send(p[0], "next", 4, -1);
	ok(packet_recv(p[1], buf, 4, &n, 0) == -1 && errno == EMSGSIZE,
	    "a record longer than the buffer");
	ok(packet_recv(p[1], buf, 4, &n, 0) == 1 && !memcmp(buf, "next", 4),
	    "does not harm the next");
	memset(buf, 'x', sizeof buf);
	ok(packet_send(p[0], buf, 65536, -1) == 1 &&
	    packet_recv(p[1], buf, sizeof buf, &n, 0) == 1 && n == 65536,
	    "a record of LIMIT_PACKET bytes");
	close(p[0]);
	ok(packet_recv(p[1], buf, sizeof buf, &n, 0) == 0, "the end");
	ok(packet_send(p[1], "x", 1, -1) == -1 && errno == EPIPE,
	    "nobody there, and no signal");
}

static void
test_descriptors(void)
{
	int q[2], fd = -1, before;
	size_t n;
	char c;

	pair();
	if (pipe(q) == -1)
		return;
	ok(packet_send(p[0], "f", 1, q[0]) == 1 &&
	    packet_recv(p[1], buf, 10, &n, &fd) == 1 && fd != -1,
	    "a descriptor comes along");
	ok(write(q[1], "y", 1) == 1 && read(fd, &c, 1) == 1 && c == 'y',
	    "and is the one that was sent");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "close-on-exec");
	close(fd);
	packet_send(p[0], "f", 1, -1);
	ok(packet_recv(p[1], buf, 10, &n, &fd) == 1 && fd == -1,
	    "a record without one");
	before = open_descriptors();
	packet_send(p[0], "f", 1, q[0]);
	packet_recv(p[1], buf, 10, &n, 0);
	packet_send(p[0], "too long", 8, q[0]);
	packet_recv(p[1], buf, 4, &n, &fd);
	ok(open_descriptors() == before,
	    "descriptors that nobody asked for are closed");
	close(q[0]);
	close(q[1]);
}

/* Two descriptors in one record, as packet_send never sends them. */
static ssize_t
send_two(int sock, int a, int b)
{
	union {
		char space[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	int fds[2] = { a, b };
	struct iovec v = { (char *)"f", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1,
	    .msg_control = control.space,
	    .msg_controllen = sizeof control.space };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	memset(&control, 0, sizeof control);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(c), fds, sizeof fds);
	return sendmsg(sock, &m, 0);
}

static void
test_too_many_descriptors(void)
{
	int fd = -1, before = open_descriptors();
	size_t n;

	ok(send_two(p[0], 0, 1) == 1 && send_two(p[0], 0, 1) == 1,
	    "two descriptors in one record");
	packet_recv(p[1], buf, 10, &n, &fd);
	ok(fd == -1, "are not what was asked for");
	packet_recv(p[1], buf, 10, &n, 0);
	ok(open_descriptors() == before, "and stay open in no case");
}

static void
test_addresses(void)
{
	char dir[] = "/tmp/packet.XXXXXX", longname[200];
	struct stat st;
	pid_t pid;
	uid_t uid;
	int s, c;

	if (!mkdtemp(dir) || chdir(dir) == -1)
		return;
	ok(packet_connect("s") == -1 && errno == ENOENT, "no socket");
	s = packet_listen("s", 0640, 5);
	ok(s != -1 && stat("s", &st) == 0 && (st.st_mode & 0777) == 0640,
	    "a socket of that mode");
	c = packet_connect("s");
	ok(c != -1, "connected");
	ok(packet_peer(c, &pid, &uid) == 1 && pid == getpid() &&
	    uid == getuid(), "who is there");
	close(s);
	close(c);
	ok(packet_connect("s") == -1 && errno == ECONNREFUSED,
	    "a socket that nobody serves");
	s = packet_listen("s", 0600, 5);
	ok(s != -1, "is replaced");
	close(s);
	memset(longname, 'x', sizeof longname - 1);
	longname[sizeof longname - 1] = 0;
	ok(packet_connect(longname) == -1 && errno == ENAMETOOLONG,
	    "a path that does not fit");
	unlink("s");
	rmdir(dir);
}

static void
test_timeout(void)
{
	size_t n;

	pair();
	packet_timeout(p[1], 1);
	ok(packet_recv(p[1], buf, 10, &n, 0) == -1 && errno == EAGAIN,
	    "waiting ends");
}

int
main(void)
{
	alarm(20);
	pair();
	test_records();
	test_descriptors();
	test_too_many_descriptors();
	test_addresses();
	test_timeout();
	return tap_done();
}
