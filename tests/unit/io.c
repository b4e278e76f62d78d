#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/io.h"
#include "tests/unit/tap.h"

static io i;
static int ends[2];

static void
give(char const *s, size_t n)
{
	if (write(ends[1], s, n) != (ssize_t)n)
		_exit(111);
}

static void
begin(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == -1)
		_exit(111);
	io_init(&i, ends[0], ends[0]);
	io_deadline(&i, 5);
}

static void
end(void)
{
	close(ends[0]);
	close(ends[1]);
}

/* Is the next line that one?  want 0: max is too small for it. */
static int
line(size_t max, char const *want)
{
	char const *s;
	size_t n;
	int r = io_line(&i, &s, &n, max);

	return want ? r == 1 && n == strlen(want) && !memcmp(s, want, n) :
	    r == -1 && errno == EMSGSIZE;
}

static void
lines(void)
{
	static char s[20001];
	char const *p;
	size_t n;

	begin();
	give("a\r\nb\n\nlonger\nabc\n", 17);
	ok(line(5, "a\r"), "a line keeps its CR");
	ok(io_pending(&i), "the next one is there already");
	ok(line(5, "b") && line(5, ""), "a short line, an empty one");
	ok(line(5, 0), "a line that is too long is refused");
	ok(line(3, "abc"), "what follows it is not lost");
	ok(!io_pending(&i), "nothing is pending");
	memset(s, 'x', sizeof s);
	s[20000] = '\n';
	give(s, sizeof s);
	give("abc\nrest", 8);
	ok(line(100, 0) && line(100, "abc"), "a line longer than the buffer");
	io_discard(&i);
	shutdown(ends[1], SHUT_WR);
	ok(io_line(&i, &p, &n, 100) == 0, "the end");
	end();
	begin();
	give("half", 4);
	shutdown(ends[1], SHUT_WR);
	ok(io_line(&i, &p, &n, 100) == 0, "half a line is none");
	end();
}

/* Replies wait for the client's next turn, and then go in one piece. */
static void
batches(void)
{
	char got[100];

	begin();
	give("a\nb\n", 4);
	ok(line(9, "a") && io_puts(&i, "1\r\n") == 1 && line(9, "b") &&
	    io_puts(&i, "2\r\n") == 1, "two replies");
	ok(recv(ends[1], got, sizeof got, MSG_DONTWAIT) == -1,
	    "nothing is sent while input is left");
	give("c\n", 2);
	ok(line(9, "c") && recv(ends[1], got, sizeof got, MSG_DONTWAIT) == 6,
	    "all is sent before the next read");
	end();
}

static void
deadlines(void)
{
	static char s[4000];
	char const *p;
	size_t n;
	time_t start;
	int r = 1, k;

	begin();
	io_deadline(&i, 0);
	ok(io_line(&i, &p, &n, 100) == -1 && errno == ETIMEDOUT,
	    "reading ends at the deadline");
	io_deadline(&i, 2);
	start = time(0);
	for (k = 0; r == 1 && k < 1000; k++)
		r = io_put(&i, s, sizeof s);
	ok(r == -1 && errno == ETIMEDOUT && time(0) - start < 5,
	    "a peer that does not read cannot hold us");
	end();
	begin();
	close(ends[1]);
	ok((io_puts(&i, "x"), io_flush(&i)) == -1 && errno == EPIPE,
	    "a peer that is gone is an error");
	end();
}

static void
big(void)
{
	static char s[9000], got[9000];
	size_t n = 0;
	ssize_t r;

	begin();
	memset(s, 'y', sizeof s);
	ok(io_puts(&i, "x") == 1 && io_put(&i, s, sizeof s) == 1 &&
	    io_flush(&i) == 1, "more than the buffer holds");
	while (n < 9001 && (r = read(ends[1], got, sizeof got)) > 0)
		n += r;
	ok(n == 9001 && got[0], "arrives whole");
	end();
}

/* No socket, as behind a pipe. */
static void
pipes(void)
{
	int in[2], out[2];
	char got[10];

	if (pipe(in) == -1 || pipe(out) == -1)
		_exit(111);
	io_init(&i, in[0], out[1]);
	io_deadline(&i, 5);
	ends[1] = in[1];
	give("a\n", 2);
	ok(line(9, "a") && io_puts(&i, "b") == 1 && io_flush(&i) == 1 &&
	    read(out[0], got, sizeof got) == 1, "over pipes");
	close(out[0]);
	ok((io_puts(&i, "x"), io_flush(&i)) == -1 && errno == EPIPE,
	    "a pipe without a reader");
}

int
main(void)
{
	alarm(60);	/* a fault here shows as waiting for ever */
	signal(SIGPIPE, SIG_IGN);
	lines();
	batches();
	deadlines();
	big();
	pipes();
	return tap_done();
}
