#include "lib/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

char const *
session_id(void)
{
	static char own[SESSION_LEN];
	char const *s = getenv("POSTERN_SESSION");
	size_t n = s ? strlen(s) : 0;

	if (n && n < SESSION_LEN &&
	    strspn(s, "0123456789abcdefghijklmnopqrstuvwxyz.-") == n)
		return s;
	snprintf(own, sizeof own, "%lx-%lx", (unsigned long)time(0),
	    (unsigned long)getpid());
	setenv("POSTERN_SESSION", own, 1);
	return own;
}
