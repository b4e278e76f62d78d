/* floor PORT DIR: the least that an SMTP server can do, on 127.0.0.1: one
 * process a connection, no checks, no log; a message is one file that is
 * written, synced and renamed.  What others are measured against; it is no
 * mail server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char message[1 << 20];

static void
say(char const *s)
{
	if (write(1, s, strlen(s)) == -1)
		_exit(1);
}

/* A line without its CR LF; its length. */
static size_t
line(char *out, size_t size)
{
	static char buf[65536];
	static size_t at, have;
	size_t n = 0;

	for (;;) {
		if (at == have) {
			ssize_t r = read(0, buf, sizeof buf);

			if (r <= 0)
				_exit(0);
			have = r;
			at = 0;
		}
		if (buf[at] == '\n')
			break;
		if (n < size - 1)
			out[n++] = buf[at];
		at++;
	}
	at++;
	n -= n && out[n - 1] == '\r';
	out[n] = 0;
	return n;
}

static size_t
data(void)
{
	char s[2048];
	size_t n, size = 0;

	while ((n = line(s, sizeof s)) != 1 || *s != '.') {
		int dot = *s == '.';

		if (size + n + 1 > sizeof message)
			_exit(1);
		memcpy(message + size, s + dot, n - dot);
		size += n - dot;
		message[size++] = '\n';
	}
	return size;
}

static int
keep(size_t size)
{
	static unsigned int count;
	char tmp[64], name[64];
	int fd, r;

	snprintf(tmp, sizeof tmp, "tmp.%d.%u", getpid(), count);
	snprintf(name, sizeof name, "new/%d.%u", getpid(), count++);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd == -1)
		return -1;
	r = write(fd, message, size) == (ssize_t)size && fsync(fd) == 0;
	close(fd);
	return r && rename(tmp, name) == 0 ? 1 : -1;
}

static void
session(void)
{
	char s[2048];

	for (say("220 floor ESMTP\r\n");;) {
		line(s, sizeof s);
		if (strncasecmp(s, "quit", 4) == 0) {
			say("221 bye\r\n");
			_exit(0);
		} else if (strncasecmp(s, "data", 4)) {
			say("250 ok\r\n");
		} else {
			say("354 go\r\n");
			say(keep(data()) == 1 ? "250 queued\r\n" :
			    "451 disk\r\n");
		}
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	if (argc != 3 || mkdir(argv[2], 0700) == -1 || chdir(argv[2]) == -1 ||
	    mkdir("new", 0700) == -1)
		return 2;
	a.sin_port = htons(strtoul(argv[1], 0, 10));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(s, (void *)&a, sizeof a) || listen(s, 512))
		return 1;
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		fd = accept(s, 0, 0);
		if (fd == -1)
			continue;
		if (fork() == 0) {
			dup2(fd, 0);
			dup2(fd, 1);
			session();
		}
		close(fd);
	}
}
