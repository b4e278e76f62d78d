#include "send/line.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/limits.h"
#include "tests/unit/tap.h"

static int
waiting(char const *want)
{
	char const *s;
	size_t n = line_peek(&s);

	return n == strlen(want) && memcmp(s, want, n) == 0;
}

static void
test_text(void)
{
	line_put("delivery ");
	line_number(18446744073709551615u);
	line_put(": deferral: ");
	line_text("a b%\n\r\x1b\x7f\xc3z", 10);
	line_end();
	ok(waiting("delivery 18446744073709551615: deferral: a_b_/____z\n"),
	    "as qmail-send prints: / for LF, _ for what is not plain, and %");
}

/* A pipe that takes nothing any more in the place of standard error. */
static void
test_full(int in)
{
	static char big[LIMIT_LOGLINE * 2];
	static char got[LINE_ROOM * 2];
	size_t n = 0;
	ssize_t r;
	int i, whole = 1;

	memset(big, 'x', sizeof big);
	for (i = 0; i < 100; i++) {
		line_text(big, sizeof big);
		line_end();
		line_flush(0);
	}
	ok(1, "a logger that does not read does not stop us");
	for (i = 0; i < 1000; i++) {
		line_flush(0);
		r = read(in, got, sizeof got);
		if (r <= 0)
			break;
		n += r;
		whole &= got[r - 1] == '\n';
	}
	ok(whole && n % LIMIT_LOGLINE != 0, "whole lines, and the loss told");
	line_put("after");
	line_end();
	line_flush(1);
	r = read(in, got, sizeof got);
	ok(r == 6 && memcmp(got, "after\n", 6) == 0, "and goes on");
}

/* A file, which takes all: more than the buffer does, in one go. */
static void
test_much(void)
{
	static char name[] = "/tmp/sendline.XXXXXX";
	int fd = mkstemp(name), i;

	unlink(name);
	dup2(fd, 2);
	for (i = 0; i < 10000; i++) {
		line_put("delivery 1: deferral: a line of some length");
		line_end();
	}
	line_flush(0);
	ok(lseek(fd, 0, SEEK_END) == 10000 * 44,
	    "a logger that reads gets all, however much it is at once");
	close(fd);
}

int
main(void)
{
	int pipe_fd[2], out = dup(1);

	test_text();
	if (pipe2(pipe_fd, O_NONBLOCK) == -1 || dup2(pipe_fd[1], 2) == -1)
		return 111;
	fcntl(pipe_fd[1], F_SETPIPE_SZ, 16384);
	line_flush(1);
	test_full(pipe_fd[0]);
	test_much();
	close(out);
	return tap_done();
}
