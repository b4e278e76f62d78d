#include "smtpd/data.h"

#include <string.h>
#include <strings.h>

void
data_init(struct data *d)
{
	d->state = DATA_LINE;
	d->stray = 0;
	d->size = 0;
	d->hops = 0;
	d->body = 0;
	d->column = 0;
}

static void
stray(struct data *d, char c)
{
	if (!d->stray)
		d->stray = c;
}

/* A header line has ended. */
static void
header_line(struct data *d)
{
	if (!d->column)
		d->body = 1;
	else if ((d->column >= 9 && !strncasecmp(d->name, "received:", 9)) ||
	    (d->column >= 13 && !strncasecmp(d->name, "delivered-to:", 13)))
		d->hops++;
	d->column = 0;
}

static void
header(struct data *d, char const *s, size_t n)
{
	while (n && !d->body) {
		char const *lf = memchr(s, '\n', n);
		size_t len = lf ? (size_t)(lf - s) : n;
		size_t room = d->column < DATA_NAME ? DATA_NAME - d->column : 0;

		memcpy(d->name + DATA_NAME - room, s, len < room ? len : room);
		d->column += len;
		if (lf) {
			header_line(d);
			len++;
		}
		s += len;
		n -= len;
	}
}

/* The rest of a line, or of what there is of it: from s[i] to s[out].  What
 * it returns is the offset of a CR or LF, or n.  One pass over each byte:
 * two memchr's would make lines of stray bytes cost the square of the chunk.
 */
static size_t
text(char *s, size_t i, size_t n, size_t *out)
{
	size_t to = *out;

	while (i < n && s[i] != '\r' && s[i] != '\n')
		s[to++] = s[i++];
	*out = to;
	return i;
}

/* Moves on from s[i], by one byte or, within a line, by many.  A state that
 * does not take the byte leaves it to the next one. */
static size_t
step(struct data *d, char *s, size_t i, size_t n, size_t *out)
{
	char c = s[i];

	switch (d->state) {
	case DATA_LINE:
		d->state = c == '.' ? DATA_DOT : DATA_TEXT;
		return i + (c == '.');
	case DATA_TEXT:
		if (c == '\n')
			stray(d, c);
		else if (c == '\r')
			d->state = DATA_CR;
		else
			return text(s, i, n, out);
		return i + 1;
	case DATA_CR:
		if (c == '\n')
			s[(*out)++] = c;
		else
			stray(d, '\r');
		d->state = c == '\n' ? DATA_LINE : DATA_TEXT;
		return i + (c == '\n');
	case DATA_DOT:
		d->state = c == '\r' ? DATA_DOTCR : DATA_TEXT;
		return i + (c == '\r');
	case DATA_DOTCR:
		if (c != '\n')
			stray(d, '\r');
		d->state = c == '\n' ? DATA_END : DATA_TEXT;
		return i + (c == '\n');
	default:
		return n;
	}
}

size_t
data_decode(struct data *d, char *s, size_t n, size_t *len)
{
	size_t i = 0, out = 0;

	while (i < n && d->state != DATA_END)
		i = step(d, s, i, n, &out);
	d->size += out;
	if (!d->body)
		header(d, s, out);
	*len = out;
	return i;
}
