#include "send/reasons.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/tap.h"

int
main(void)
{
	char text[400];
	uint32_t a, b, c;
	int i;

	a = reasons_put("connection refused");
	b = reasons_put("greylisted");
	ok(a && b && a != b && strcmp(reasons_get(a), "connection refused") ==
	    0 && strcmp(reasons_get(b), "greylisted") == 0, "keeps texts");
	ok(reasons_put("greylisted") == b, "equal ones once");
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	c = reasons_put(text);
	ok(strlen(reasons_get(c)) == REASONS_LEN, "cut");
	ok(!reasons_get(0) && !reasons_get(12345), "no text for no handle");
	for (i = 0; i < 3 * REASONS_MOST; i++) {
		snprintf(text, sizeof text, "reason %d", i);
		c = reasons_put(text);
		if (!c || strcmp(reasons_get(c), text) != 0)
			break;
	}
	ok(i == 3 * REASONS_MOST, "always the newest");
	ok(!reasons_get(a) && !reasons_get(b),
	    "an old handle is not taken for a new text");
	ok(reasons_put("reason 49151") == c, "found again");
	return tap_done();
}
