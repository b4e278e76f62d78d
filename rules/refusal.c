#include "rules/refusal.h"

#include <stdio.h>
#include <string.h>

int
refusal_lines(struct refusal *r, char const *text)
{
	r->busy = r->denied = 0;
	if (!text)
		return 1;
	if (strcmp(text, "smtp") == 0) {
		r->busy = "421 4.7.0 too many connections, try again later\r\n";
		r->denied = "421 4.7.0 access denied\r\n";
		return 1;
	}
	if (strcmp(text, "pop3") == 0) {
		r->busy = "-ERR [SYS/TEMP] too many connections, "
		    "try again later\r\n";
		r->denied = "-ERR access denied\r\n";
		return 1;
	}
	if (strlen(text) > REFUSAL_TEXT)
		return 0;
	snprintf(r->own, sizeof r->own, "%s\r\n", text);
	r->busy = r->denied = r->own;
	return 1;
}
