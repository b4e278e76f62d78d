#include "send/line.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/limits.h"

static char buf[LINE_ROOM];
static size_t used, start;	/* all; where the unfinished line starts */
static uint64_t lost;

static void
add(char const *s, size_t n)
{
	size_t room = sizeof buf - 1 - used;

	if (n > start + LIMIT_LOGLINE - 1 - used)
		n = start + LIMIT_LOGLINE - 1 - used;
	if (n > room)
		n = room;
	memcpy(buf + used, s, n);
	used += n;
}

void
line_put(char const *s)
{
	add(s, strlen(s));
}

void
line_number(uint64_t u)
{
	char fmt[UINT64_FMT];

	add(fmt, uint64_fmt(fmt, u));
}

void
line_text(char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char c = s[i];
		char out = c;

		if (c == '\n')
			out = '/';
		else if (c < 33 || c > 126 || c == '%')
			out = '_';
		add(&out, 1);
	}
}

void
line_errno(int e)
{
	line_put(": ");
	line_put(strerror(e));
}

static void
finish(void)
{
	/* a full buffer may have cut it: rather none than half a line */
	if (used == sizeof buf - 1) {
		used = start;
		lost++;
		return;
	}
	buf[used++] = '\n';
	start = used;
}

/* Whole lines from the front, in one write that a pipe takes as one. */
static size_t
chunk(void)
{
	size_t n = start < LIMIT_LOGLINE ? start : LIMIT_LOGLINE;

	while (n && buf[n - 1] != '\n')
		n--;
	return n;
}

static void
drop(size_t n)
{
	memmove(buf, buf + n, used - n);
	used -= n;
	start -= n;
	if (!lost || start)
		return;
	n = lost;
	lost = 0;
	line_put("warning: log lines lost because the logger did not read: ");
	line_number(n);
	finish();
}

void
line_flush(int wait)
{
	struct pollfd p = { 2, POLLOUT, 0 };

	while (start) {
		size_t n = chunk();
		ssize_t r;

		if (poll(&p, 1, wait ? 1000 : 0) != 1)
			return;
		r = write(2, buf, n);
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1 && errno == EAGAIN)
			return;
		/* nobody will ever read: as if it were written */
		drop(r == -1 ? n : (size_t)r);
	}
}

void
line_end(void)
{
	finish();
	/* a round of send's may have more to say than the buffer takes */
	if (used > LINE_ROOM / 2)
		line_flush(0);
}

void
line_warning(char const *text, int e)
{
	line_put("warning: ");
	line_put(text);
	line_errno(e);
	line_end();
}

size_t
line_peek(char const **s)
{
	*s = buf;
	return used;
}
