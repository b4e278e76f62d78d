#include "queue/netstring.h"

#include <errno.h>

#include <skalibs/types.h>

static int
malformed(void)
{
	errno = EPROTO;
	return -1;
}

/* Up to max bytes at *s, where all around has so many left.  1; 0; -1. */
static int
peek(struct netstring *outer, io *from, char const **s, size_t *len,
    uint64_t max)
{
	struct netstring *o;
	size_t n;
	int r;

	for (o = outer; o; o = o->outer)
		if (o->left < max)
			max = o->left;
	if (!max)
		return 0;
	r = from->head < from->tail ? 1 : io_fill(from);
	if (r != 1)
		return r == 0 && outer ? malformed() : r;
	n = from->tail - from->head;
	*s = from->in_buf + from->head;
	*len = n < max ? n : max;
	return 1;
}

static void
take(struct netstring *outer, io *from, size_t n)
{
	from->head += n;
	for (; outer; outer = outer->outer)
		outer->left -= n;
}

static int
get(struct netstring *outer, io *from, char *c)
{
	char const *s;
	size_t n;
	int r = peek(outer, from, &s, &n, 1);

	if (r != 1)
		return r;
	*c = *s;
	take(outer, from, 1);
	return 1;
}

/* "12:" */
static int
length(struct netstring *outer, io *from, uint64_t max, uint64_t *out)
{
	uint64_t u = 0;
	int r, digits;
	char c;

	for (digits = 0; (r = get(outer, from, &c)) == 1; digits++) {
		if (c == ':' && digits)
			break;
		if (c < '0' || c > '9' || (digits && !u))
			return malformed();
		u = u * 10 + (c - '0');
		if (u > max) {
			errno = EMSGSIZE;
			return -1;
		}
	}
	if (r == 0 && digits)
		return malformed();
	*out = u;
	return r;
}

int
netstring_begin(struct netstring *n, struct netstring *outer, io *from,
    uint64_t max)
{
	int r = length(outer, from, max, &n->left);

	n->io = from;
	n->outer = outer;
	/* with its comma it must fit into what is around it */
	if (r == 1 && outer && n->left >= outer->left)
		return malformed();
	return r;
}

int
netstring_piece(struct netstring *n, char const **s, size_t *len)
{
	int r;

	if (!n->left)
		return 0;
	r = peek(n, n->io, s, len, n->left);
	if (r == 1)
		take(n, n->io, *len);
	return r == 0 ? malformed() : r;
}

int
netstring_end(struct netstring *n)
{
	char c;
	int r;

	if (n->left)
		return malformed();
	r = get(n->outer, n->io, &c);
	if (r == -1)
		return -1;
	return r == 1 && c == ',' ? 1 : malformed();
}

int
netstring_get(struct netstring *outer, io *from, uint64_t max, stralloc *out)
{
	struct netstring n;
	char const *s;
	size_t len;
	int r = netstring_begin(&n, outer, from, max);

	if (r != 1)
		return r;
	while ((r = netstring_piece(&n, &s, &len)) == 1)
		if (!stralloc_catb(out, s, len)) {
			errno = ENOMEM;
			return -1;
		}
	return r == 0 ? netstring_end(&n) : -1;
}

int
netstring_put(io *to, char const *s, size_t n)
{
	char head[UINT64_FMT + 1];
	size_t len = uint64_fmt(head, n);

	head[len++] = ':';
	return io_put(to, head, len) == 1 && io_put(to, s, n) == 1 &&
	    io_put(to, ",", 1) == 1 ? 1 : -1;
}
