#include "tools/loglines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void
loglines_init(struct loglines *l, int fd, uint64_t offset)
{
	l->fd = fd;
	l->offset = offset;
	l->head = l->tail = 0;
	l->passing = 0;
}

static ssize_t
fill(struct loglines *l)
{
	ssize_t r;

	memmove(l->buf, l->buf + l->head, l->tail - l->head);
	l->tail -= l->head;
	l->head = 0;
	do
		r = read(l->fd, l->buf + l->tail, sizeof l->buf - l->tail);
	while (r == -1 && errno == EINTR);
	if (r > 0)
		l->tail += (size_t)r;
	return r;
}

static void
consume(struct loglines *l, size_t n)
{
	l->head += n;
	l->offset += n;
}

/* A whole line lies in the buffer, or as much as one may have. */
static int
take(struct loglines *l, size_t len, size_t all, char const **s, size_t *n)
{
	int passing = l->passing;

	*s = l->buf + l->head;
	*n = len > LOGLINES_MAX ? LOGLINES_MAX : len;
	consume(l, all);
	l->passing = all == len;
	return !passing;
}

int
loglines_next(struct loglines *l, int finished, char const **s, size_t *n)
{
	size_t seen = 0;

	for (;;) {
		char *from = l->buf + l->head;
		size_t have = l->tail - l->head;
		char *lf = have > seen ? memchr(from + seen, '\n',
		    have - seen) : 0;
		ssize_t r;

		if (lf || have > LOGLINES_MAX) {
			size_t len = lf ? (size_t)(lf - from) : have;

			if (take(l, len, len + (lf != 0), s, n))
				return 1;
			seen = 0;
			continue;
		}
		seen = have;
		r = fill(l);
		if (r == -1)
			return -1;
		if (r > 0)
			continue;
		if (!have || !finished)
			return 0;
		r = take(l, have, have, s, n);
		l->passing = 0;
		if (r)
			return 1;
		seen = 0;
	}
}
