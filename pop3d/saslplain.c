#include "pop3d/saslplain.h"

#include <string.h>

/* -1: not of the alphabet */
static int
value(char c)
{
	static char const alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char const *at = c ? strchr(alphabet, c) : 0;

	return at ? at - alphabet : -1;
}

/* Whole groups of four, padding at the end alone, unused bits zero: one text
 * for each message (RFC 4648 3.5).  The length, or -1.
 */
static long
decode(char const *s, size_t n, char *out, size_t room)
{
	size_t pad = n && s[n-1] == '=' ? 1 + (n > 1 && s[n-2] == '=') : 0;
	unsigned long bits = 0;
	size_t i, len = 0;
	int v;

	if (n % 4 || n / 4 * 3 > room)
		return -1;
	for (i = 0; i < n; i++) {
		v = i < n - pad ? value(s[i]) : 0;
		if (v == -1)
			return -1;
		bits = (bits & 0x3ffff) << 6 | v;
		if (i % 4 == 3) {
			out[len++] = bits >> 16;
			out[len++] = bits >> 8;
			out[len++] = bits;
		}
	}
	if (pad && (bits & (pad == 1 ? 0xff : 0xffff)))
		return -1;
	return len - pad;
}

int
saslplain_parse(char const *s, size_t n, struct saslplain *out)
{
	long len = decode(s, n, out->text, sizeof out->text - 1);
	char const *end, *first, *second;

	if (len <= 0)
		return 0;
	end = out->text + len;
	out->text[len] = 0;
	first = memchr(out->text, 0, len);
	second = first ? memchr(first + 1, 0, end - first - 1) : 0;
	if (!second || memchr(second + 1, 0, end - second - 1))
		return 0;
	out->login = first + 1;
	out->password = second + 1;
	return *out->login && *out->password &&
	    (!*out->text || strcmp(out->text, out->login) == 0);
}
