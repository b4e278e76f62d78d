#include <string.h>

#include "lib/base64.h"
#include "tests/unit/tap.h"

static int
encodes(char const *s, char const *expected)
{
	stralloc sa = STRALLOC_ZERO;
	int good = base64_encode(&sa, s, strlen(s)) == 1 &&
	    sa.len == strlen(expected) &&
	    (!sa.len || !memcmp(sa.s, expected, sa.len));

	stralloc_free(&sa);
	return good;
}

/* What s decodes to with so much room, or 0. */
static char const *
decoded(char const *s, size_t room)
{
	static char out[64];
	size_t len;

	if (!base64_decode(s, strlen(s), out, room, &len) || len > room)
		return 0;
	out[len] = 0;
	return out;
}

static int
decodes(char const *s, char const *expected)
{
	char const *is = decoded(s, 32);

	return is && !strcmp(is, expected);
}

int
main(void)
{
	ok(encodes("", "") && encodes("f", "Zg==") && encodes("fo", "Zm8=") &&
	    encodes("foo", "Zm9v") && encodes("foobar", "Zm9vYmFy") &&
	    encodes("\377\376\376", "//7+"), "encode (RFC 4648 10)");
	ok(decodes("", "") && decodes("Zg==", "f") && decodes("Zm8=", "fo") &&
	    decodes("Zm9v", "foo") && decodes("Zm9vYmFy", "foobar") &&
	    decodes("//7+", "\377\376\376"), "decode (RFC 4648 10)");
	ok(!decoded("Zg=", 32) && !decoded("Zg", 32) && !decoded("Z===", 32) &&
	    !decoded("====", 32) && !decoded("Zg==Zg==", 32),
	    "padding at the end, and as much as there must be");
	ok(!decoded("Zh==", 32) && !decoded("Zm9=", 32), "unused bits");
	ok(!decoded("Zm9 ", 32) && !decoded("Zm-_", 32) &&
	    !decoded("Zm9\n", 32), "other bytes");
	ok(decoded("Zm9v", 3) && !decoded("Zm9v", 2) && decoded("Zg==", 1) &&
	    !decoded("Zg==", 0), "room");
	return tap_done();
}
