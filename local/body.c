#include "local/body.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void
body_start(struct body *b, int fd, uint64_t size)
{
	b->fd = fd;
	b->size = size;
	b->at = 0;
	b->len = 0;
}

/* Reads what stands at pos. */
static int
load(struct body *b, uint64_t pos)
{
	uint64_t left = b->size - pos;
	ssize_t r;

	b->len = 0;
	do
		r = pread(b->fd, b->buf, left < sizeof b->buf ?
		    (size_t)left : sizeof b->buf, pos);
	while (r == -1 && errno == EINTR);
	if (r == -1)
		return -1;
	if (r == 0) {
		errno = EIO;
		return -1;
	}
	b->at = pos;
	b->len = r;
	return 1;
}

static int
peek(struct body *b, uint64_t pos, char const **s, size_t *n)
{
	if (pos >= b->size)
		return 0;
	if ((pos < b->at || pos - b->at >= b->len) && load(b, pos) == -1)
		return -1;
	*s = b->buf + (pos - b->at);
	*n = b->len - (pos - b->at);
	return 1;
}

int
body_bytes(struct body *b, uint64_t *pos, char const **s, size_t *n)
{
	int r = peek(b, *pos, s, n);

	if (r == 1)
		*pos += *n;
	return r;
}

int
body_line(struct body *b, uint64_t *pos, char const **s, size_t *n, int *whole)
{
	int r = peek(b, *pos, s, n);
	char const *nl;

	if (r != 1)
		return r;
	nl = memchr(*s, '\n', *n);
	if (!nl && *n < sizeof b->buf && *n < b->size - *pos) {
		/* cut by the end of the buffer: once more, from its start */
		if (load(b, *pos) == -1)
			return -1;
		*s = b->buf;
		*n = b->len;
		nl = memchr(*s, '\n', *n);
	}
	if (nl)
		*n = nl - *s + 1;
	*whole = nl != 0;
	*pos += *n;
	return 1;
}
