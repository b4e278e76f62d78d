#include "remote/wire.h"

#include <string.h>

/* The bytes of s[0..n) up to the next CR or LF. */
static size_t
plain(char const *s, size_t n)
{
	char const *lf = memchr(s, '\n', n);
	char const *cr;

	if (lf)
		n = lf - s;
	cr = memchr(s, '\r', n);
	return cr ? (size_t)(cr - s) : n;
}

size_t
wire_put(struct wire *w, char const *s, size_t n, char *out)
{
	char *o = out;
	size_t i, k;

	for (i = 0; i < n; i += k) {
		k = 1;
		if (s[i] == '\n') {
			*o++ = '\r';
			*o++ = '\n';
			w->inside = w->cr = 0;
			continue;
		}
		if (w->cr) {
			*o++ = ' ';
			w->inside = 1;
		}
		w->cr = s[i] == '\r';
		if (w->cr)
			continue;
		if (!w->inside && s[i] == '.')
			*o++ = '.';
		w->inside = 1;
		k = plain(s + i, n - i);
		memcpy(o, s + i, k);
		o += k;
	}
	return o - out;
}

size_t
wire_end(struct wire *w, char *out)
{
	size_t n = 0;

	if (w->cr)
		out[n++] = ' ';
	if (w->inside || w->cr) {
		memcpy(out + n, "\r\n", 2);
		n += 2;
	}
	memcpy(out + n, ".\r\n", 3);
	w->inside = w->cr = 0;
	return n + 3;
}
