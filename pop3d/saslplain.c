#include "pop3d/saslplain.h"

#include <string.h>

#include "lib/base64.h"

int
saslplain_parse(char const *s, size_t n, struct saslplain *out)
{
	char const *end, *first, *second;
	size_t len;

	if (base64_decode(s, n, out->text, sizeof out->text - 1, &len) != 1)
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
