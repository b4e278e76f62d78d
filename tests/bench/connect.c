/* connect PORT TOTAL PARALLEL: so many connections, each read to its end, so
 * many at a time; prints connections a second.  Load of tests/bench/listen. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 256 };

static int
dial(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_port = htons(port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || connect(fd, (struct sockaddr *)&a, sizeof a) == -1) {
		perror("connect");
		exit(111);
	}
	return fd;
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	struct pollfd p[MOST];
	char buf[4096];
	int i, total, n, started, done = 0, port;
	double start = seconds();

	if (argc != 4)
		return 100;
	port = strtol(argv[1], 0, 10);
	total = strtol(argv[2], 0, 10);
	n = strtol(argv[3], 0, 10);
	if (n > MOST)
		return 100;
	for (i = 0; i < n; i++) {
		p[i].fd = dial(port);
		p[i].events = POLLIN;
	}
	started = n;
	while (done < total) {
		if (poll(p, n, 10000) <= 0)
			return 111;
		for (i = 0; i < n; i++) {
			if (!p[i].revents || read(p[i].fd, buf, sizeof buf) > 0)
				continue;
			close(p[i].fd);
			done++;
			p[i].fd = started++ < total ? dial(port) : -1;
			p[i].revents = 0;
		}
	}
	printf("%.0f\n", total / (seconds() - start));
	return 0;
}
