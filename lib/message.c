#include "lib/message.h"

#include <string.h>

int
message_safe(stralloc *out, char const *s, size_t n)
{
	static char const good[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-[]@%/+=";
	size_t i;

	for (i = 0; i < n; i++)
		if (!stralloc_append(out, s[i] && strchr(good, s[i]) ?
		    s[i] : '?'))
			return -1;
	return 1;
}
