#include "tools/talk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/dial.h"
#include "lib/limits.h"

static void
show(struct talk const *t, char const *mark, char const *s, size_t n)
{
	size_t i;

	if (t->quiet)
		return;
	fputs(mark, stdout);
	for (i = 0; i < n; i++)
		putchar(s[i] < 32 || s[i] > 126 ? '?' : s[i]);
	putchar('\n');
	fflush(stdout);
}

int
talk_open(struct talk *t, struct ipaddr const *to, unsigned int port,
    struct ipaddr const *from)
{
	t->fd = dial(to, port, from, TALK_PATIENCE);
	if (t->fd == -1)
		return -1;
	io_init(&t->io, t->fd, t->fd);
	return 1;
}

void
talk_close(struct talk *t)
{
	if (t->fd != -1)
		close(t->fd);
	t->fd = -1;
}

/* A line of a reply: three digits, and a blank or hyphen behind them.  The
 * number, negative if more lines follow; 0: no such line.
 */
static int
reply_code(char const *s, size_t n)
{
	int code = 0, i;

	if (n < 3)
		return 0;
	for (i = 0; i < 3; i++) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		code = code * 10 + (s[i] - '0');
	}
	if (code < 100 || code > 599 || (n > 3 && s[3] != ' ' && s[3] != '-'))
		return 0;
	return n > 3 && s[3] == '-' ? -code : code;
}

int
talk_reply(struct talk *t, unsigned int *code)
{
	char const *s;
	size_t n;
	int r, i, got;

	io_deadline(&t->io, TALK_PATIENCE);
	for (i = 0; i < TALK_LINES; i++) {
		r = io_line(&t->io, &s, &n, LIMIT_COMMAND);
		if (r != 1)
			return r;
		if (n && s[n-1] == '\r')
			n--;
		show(t, "<<< ", s, n);
		got = reply_code(s, n);
		if (got == 0)
			return 0;
		if (got > 0) {
			*code = got;
			return 1;
		}
	}
	errno = EMSGSIZE;
	return -1;
}

int
talk_send(struct talk *t, char const *s, size_t n)
{
	io_deadline(&t->io, TALK_PATIENCE);
	if (io_put(&t->io, s, n) == -1)
		return -1;
	return io_flush(&t->io);
}

int
talk_command(struct talk *t, char const *command, unsigned int *code)
{
	show(t, ">>> ", command, strlen(command));
	io_deadline(&t->io, TALK_PATIENCE);
	if (io_puts(&t->io, command) == -1 || io_puts(&t->io, "\r\n") == -1 ||
	    io_flush(&t->io) == -1)
		return -1;
	return talk_reply(t, code);
}

int
talk_more(struct talk *t, unsigned int seconds)
{
	struct pollfd p = { t->fd, POLLIN, 0 };
	char c;

	if (io_pending(&t->io))
		return 1;
	if (poll(&p, 1, seconds * 1000) <= 0)
		return 0;
	/* its end is no answer */
	return recv(t->fd, &c, 1, MSG_PEEK) == 1;
}
