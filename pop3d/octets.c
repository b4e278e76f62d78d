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

/* LFs without a CR before them */
static uint64_t
bare(char const *s, size_t n, char last)
{
	char const *at = s;
	uint64_t count = 0;

	for (; (at = memchr(at, '\n', s + n - at)) != 0; at++)
		count += (at == s ? last : at[-1]) != '\r';
	return count;
}

int
octets_count(int fd, uint64_t *out)
{
	struct octets o = OCTETS_ZERO;
	uint64_t total = 0;
	char in[16384];
	ssize_t r;

	while ((r = fd_read(fd, in, sizeof in)) > 0) {
		total += r + bare(in, r, o.last);
		o.last = in[r-1];
		o.begun = o.last != '\n';
	}
	if (r == -1)
		return -1;
	*out = total + strlen(octets_end(&o));
	return 1;
}
