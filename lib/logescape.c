#include "lib/log.h"

#include <skalibs/stralloc.h>

int
log_escape(stralloc *out, char const *s, size_t n)
{
	char c[4];
	size_t i;

	for (i = 0; i < n; i++)
		if (!stralloc_catb(out, c, log_escape_byte(c, s[i])))
			return -1;
	return 1;
}
