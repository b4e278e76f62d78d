#include "scanq/clamdreply.h"

#include <string.h>

/* Bytes of "stream: " or "fd[11]: "; 0: it does not start so. */
static size_t
prefix(char const *s, size_t n, int fildes)
{
	size_t i = 3;

	if (!fildes)
		return n >= 8 && !memcmp(s, "stream: ", 8) ? 8 : 0;
	if (n < 7 || memcmp(s, "fd[", 3))
		return 0;
	while (i < n && s[i] >= '0' && s[i] <= '9')
		i++;
	return i > 3 && n - i >= 3 && !memcmp(s + i, "]: ", 3) ? i + 3 : 0;
}

enum clamd_verdict
clamdreply(char const *s, size_t n, int fildes, char const **name,
    size_t *len)
{
	size_t k;

	/* the NUL that ends it must be the only one */
	if (!n || memchr(s, 0, n) != s + n - 1)
		return CLAMD_UNKNOWN;
	n--;
	k = prefix(s, n, fildes);
	if (!k)
		return CLAMD_UNKNOWN;
	s += k;
	n -= k;
	if (n == 2 && !memcmp(s, "OK", 2))
		return CLAMD_CLEAN;
	if (n <= 6 || memcmp(s + n - 6, " FOUND", 6))
		return CLAMD_UNKNOWN;
	*name = s;
	*len = n - 6;
	return CLAMD_FOUND;
}
