#include "remote/reply.h"

#include <errno.h>
#include <string.h>

struct parser {
	unsigned int code;	/* of this line, so far */
	size_t column;
	int more;		/* this line is not the last one */
	int cr;			/* the byte before was one */
	unsigned int lines;
	size_t bytes;
};

static void
keep(struct reply *r, char c)
{
	/* room for the LF of a line that is cut */
	if (r->n < sizeof r->text - 1)
		r->text[r->n++] = c;
	else if (c == '\n' && r->n < sizeof r->text)
		r->text[r->n++] = c;
}

/* 1 it was the last line; 0 not; -1 */
static int
line_ends(struct parser *p, struct reply *r)
{
	if (p->column < 3 || p->code < 200 || p->code > 599) {
		errno = EPROTO;
		return -1;
	}
	if (++p->lines > REPLY_LINES) {
		errno = EMSGSIZE;
		return -1;
	}
	keep(r, '\n');
	if (!p->more) {
		r->code = p->code;
		return 1;
	}
	p->column = p->code = 0;
	p->more = 0;
	return 0;
}

/* Takes one byte of a line.  1; -1: that is no reply. */
static int
byte(struct parser *p, struct reply *r, unsigned char c)
{
	size_t column = p->column++;

	if (column < 3) {
		if (c < '0' || c > '9')
			return -1;
		p->code = p->code * 10 + (c - '0');
	} else if (column == 3) {
		if (c != ' ' && c != '-')
			return -1;
		p->more = c == '-';
	}
	keep(r, c >= 32 && c < 127 ? c : '?');
	return 1;
}

/* A CR counts when it is clear that no LF follows. */
static int
take(struct parser *p, struct reply *r, unsigned char c)
{
	if (++p->bytes > REPLY_BYTES) {
		errno = EMSGSIZE;
		return -1;
	}
	if (c == '\n') {
		p->cr = 0;
		return line_ends(p, r);
	}
	if ((p->cr && byte(p, r, '\r') == -1) ||
	    (c != '\r' && byte(p, r, c) == -1)) {
		errno = EPROTO;
		return -1;
	}
	p->cr = c == '\r';
	return 0;
}

int
reply_read(io *i, struct reply *r)
{
	struct parser p = { 0, 0, 0, 0, 0, 0 };
	int got;

	r->code = 0;
	r->n = 0;
	for (;;) {
		got = io_fill(i);
		if (got != 1)
			return got;
		while (i->head < i->tail) {
			got = take(&p, r, i->in_buf[i->head++]);
			if (got)
				return got;
		}
	}
}

int
reply_line(struct reply const *r, size_t *pos, char const **s, size_t *n)
{
	char const *start = r->text + *pos, *lf;
	size_t len;

	if (*pos >= r->n)
		return 0;
	lf = memchr(start, '\n', r->n - *pos);
	if (!lf)
		return 0;
	len = lf - start;
	*pos += len + 1;
	*s = len > 4 ? start + 4 : lf;
	*n = len > 4 ? len - 4 : 0;
	return 1;
}
