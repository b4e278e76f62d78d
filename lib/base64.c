#include "lib/base64.h"

#include <string.h>

static char const digit[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int
base64_encode(stralloc *out, char const *s, size_t n)
{
	unsigned char const *b = (unsigned char const *)s;
	char four[4];
	size_t i;

	for (i = 0; i < n; i += 3) {
		unsigned int u = b[i] << 16 |
		    (i + 1 < n ? b[i+1] << 8 : 0) | (i + 2 < n ? b[i+2] : 0);

		four[0] = digit[u >> 18];
		four[1] = digit[u >> 12 & 63];
		four[2] = i + 1 < n ? digit[u >> 6 & 63] : '=';
		four[3] = i + 2 < n ? digit[u & 63] : '=';
		if (!stralloc_catb(out, four, 4))
			return -1;
	}
	return 1;
}

/* -1: no digit */
static int
value(char c)
{
	char const *at = c ? strchr(digit, c) : 0;

	return at ? at - digit : -1;
}

/* Four digits, the last pad of which are padding. */
static int
group(char const *s, unsigned int pad, unsigned long *bits)
{
	unsigned int i;
	int v;

	*bits = 0;
	for (i = 0; i < 4; i++) {
		v = i < 4 - pad ? value(s[i]) : 0;
		if (v == -1)
			return 0;
		*bits = *bits << 6 | v;
	}
	return !(*bits & (pad == 2 ? 0xffff : pad == 1 ? 0xff : 0));
}

int
base64_decode(char const *s, size_t n, char *out, size_t room, size_t *len)
{
	unsigned int pad = 0, i;
	unsigned long bits;
	size_t at, used = 0;

	if (n % 4)
		return 0;
	if (n && s[n-1] == '=')
		pad = s[n-2] == '=' ? 2 : 1;
	if (n / 4 * 3 - pad > room)
		return 0;
	for (at = 0; at < n; at += 4) {
		unsigned int padded = at + 4 == n ? pad : 0;

		if (!group(s + at, padded, &bits))
			return 0;
		for (i = 0; i < 3 - padded; i++)
			out[used++] = bits >> (16 - 8 * i);
	}
	*len = used;
	return 1;
}
