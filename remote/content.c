#include "remote/content.h"

#include <errno.h>
#include <unistd.h>

#include "lib/crc32c.h"

static int
load(struct content *c, uint64_t pos)
{
	uint64_t left = c->size - pos;
	ssize_t r;

	c->len = 0;
	do
		r = pread(c->fd, c->buf, left < sizeof c->buf ?
		    (size_t)left : sizeof c->buf, pos);
	while (r == -1 && errno == EINTR);
	if (r == 0)
		errno = EIO;
	if (r <= 0)
		return -1;
	c->at = pos;
	c->len = r;
	return 1;
}

int
content_bytes(struct content *c, uint64_t *pos, char const **s, size_t *n)
{
	if (*pos >= c->size)
		return 0;
	if ((*pos < c->at || *pos - c->at >= c->len) && load(c, *pos) == -1)
		return -1;
	*s = c->buf + (*pos - c->at);
	*n = c->len - (*pos - c->at);
	*pos += *n;
	return 1;
}

/* What a receiver counts for SIZE: about the bytes on the wire.  A CR that is
 * dropped is counted: the sum is never too small. */
static void
look(struct content *c, char const *s, size_t n)
{
	unsigned char bits = 0;
	size_t i, lines = 0;

	for (i = 0; i < n; i++) {
		bits |= s[i];
		lines += s[i] == '\n';
	}
	c->wire += n + lines;
	c->eight |= bits >> 7;
	c->crc = crc32c(c->crc, s, n);
}

int
content_start(struct content *c, int fd, uint64_t size)
{
	uint64_t pos = 0;
	char const *s;
	size_t n;
	int r;

	c->fd = fd;
	c->size = size;
	c->at = c->wire = 0;
	c->len = 0;
	c->crc = 0;
	c->eight = 0;
	while ((r = content_bytes(c, &pos, &s, &n)) == 1)
		look(c, s, n);
	return r == 0 ? 1 : -1;
}
