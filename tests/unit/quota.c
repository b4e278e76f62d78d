#include <stdlib.h>
#include <string.h>

#include "lib/quota.h"
#include "tests/unit/tap.h"

static int
is(char const *s, uint64_t bytes, uint64_t count)
{
	struct quota q = { 7, 7 };

	return quota_parse(s, &q) == 1 && q.bytes == bytes &&
	    q.count == count;
}

int
main(void)
{
	static char const *const none[] = { "", "NOQUOTA", "0", "0S", "-1",
		"10X", "10S,", "10S,5", "10S,5S", "5C,10S", "10MBx", " 10",
		"99999999999999999999", "9999999999999999M" };
	struct quota q;
	unsigned int i;

	ok(is("1000000S", 1000000, 0), "bytes");
	ok(is("1000000", 1000000, 0), "bytes without a letter");
	ok(is("1000S,10C", 1000, 10), "bytes and messages");
	ok(is("10C", 0, 10), "messages");
	ok(is("10MB", 10485760, 0) && is("10M", 10485760, 0) &&
	    is("10m", 10485760, 0), "megabytes");
	ok(is("10KB", 10240, 0) && is("10k", 10240, 0), "kilobytes");
	ok(is("1M,10C", 1048576, 10), "megabytes and messages");
	for (i = 0; i < sizeof none / sizeof *none; i++)
		ok(quota_parse(none[i], &q) == 0, none[i]);
	return tap_done();
}
