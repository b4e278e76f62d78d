#include "pop3d/octets.h"

#include <string.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

/* A whole line has ended: is that the last one wanted? */
static int
line_ends(struct octets *o, int empty)
{
	if (o->body)
		o->lines--;
	else if (empty)
		o->body = 1;
	return o->body && o->lines == 0;
}

size_t
octets_convert(struct octets *o, char const *s, size_t n, char *out, int *end)
{
	char *to = out;
	int empty;

	while (n && !*end) {
		char const *lf = memchr(s, '\n', n);
		size_t len = lf ? (size_t)(lf - s) : n;

		empty = !o->begun && (len == 0 || (len == 1 && *s == '\r'));
		if (!o->begun && o->stuff && len && *s == '.')
			*to++ = '.';
		memcpy(to, s, len);
		to += len;
		if (len) {
			/* a CR carried over from the last piece, then LF, is
			 * an empty line only if it stood alone: begun == 2 */
			o->last = s[len-1];
			o->begun = !o->begun && len == 1 && *s == '\r' ? 2 : 1;
		} else if (o->begun == 2)
			empty = 1;
		s += len;
		n -= len;
		if (!lf)
			continue;
		if (o->last != '\r')
			*to++ = '\r';
		*to++ = '\n';
		o->last = '\n';
		o->begun = 0;
		s++;
		n--;
		*end = line_ends(o, empty);
	}
	return to - out;
}

char const *
octets_end(struct octets const *o)
{
	if (!o->begun)
		return "";
	return o->last == '\r' ? "\n" : "\r\n";
}

int
octets_count(int fd, uint64_t *out)
{
	char in[16384], wire[3 * sizeof in];
	struct octets o = OCTETS_ZERO;
	uint64_t total = 0;
	ssize_t r;
	int end = 0;

	o.stuff = 0;
	while ((r = fd_read(fd, in, sizeof in)) > 0)
		total += octets_convert(&o, in, r, wire, &end);
	if (r == -1)
		return -1;
	*out = total + strlen(octets_end(&o));
	return 1;
}
