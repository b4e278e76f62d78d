#include <string.h>

#include "lib/date822.h"
#include "tests/unit/tap.h"

static int
is(uint64_t t, char const *want)
{
	char s[DATE822_LEN];
	size_t n = date822(s, t);

	return n == strlen(want) && !memcmp(s, want, n);
}

int
main(void)
{
	ok(is(0, "1 Jan 1970 00:00:00 -0000"), "the start");
	ok(is(1795355521, "22 Nov 2026 13:52:01 -0000"), "the header's own");
	ok(is(951782400, "29 Feb 2000 00:00:00 -0000"), "a leap day");
	ok(is(4294967296, "7 Feb 2106 06:28:16 -0000"), "beyond 32 bits");
	ok(is(253402300799, "31 Dec 9999 23:59:59 -0000"), "the year 9999");
	return tap_done();
}
