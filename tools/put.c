#include "tools/put.h"

#include <stdarg.h>
#include <stdio.h>

int
put(stralloc *out, char const *format, ...)
{
	char s[PUT_MOST];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(s, sizeof s, format, args);
	va_end(args);
	if (n < 0)
		return -1;
	return stralloc_catb(out, s, (size_t)n < sizeof s ? (size_t)n :
	    sizeof s - 1) ? 1 : -1;
}
