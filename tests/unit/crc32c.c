#include <string.h>

#include "lib/crc32c.h"
#include "tests/unit/tap.h"

int
main(void)
{
	char zero[32];

	memset(zero, 0, sizeof zero);
	/* RFC 3720 B.4, and the check value of the catalogues */
	ok(crc32c(0, zero, 32) == 0x8a9136aa, "32 bytes of zeroes");
	ok(crc32c(0, "123456789", 9) == 0xe3069283, "123456789");
	ok(crc32c(0, "", 0) == 0, "nothing");
	ok(crc32c(crc32c(0, "1234567", 7), "89", 2) == 0xe3069283,
	    "in two pieces");
	return tap_done();
}
