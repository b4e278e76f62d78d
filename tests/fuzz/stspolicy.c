/* The text of an MTA-STS policy, or its DNS record, out of the fuzzer's bytes:
 * what is taken from it is names, and few of them.
 *
 * tests/fuzz/build stspolicy remote/stspolicy.c
 */
#include <stdlib.h>
#include <string.h>

#include "lib/resolve.h"
#include "remote/stspolicy.h"

extern int LLVMFuzzerTestOneInput(unsigned char const *, size_t);

static void
must(int good)
{
	if (!good)
		abort();
}

static void
check(struct stspolicy const *p)
{
	size_t i, n, count = 0;

	for (i = 0; i < p->mx.len; i += n + 1, count++) {
		char const *s = p->mx.s + i;

		n = strlen(s);
		if (!strncmp(s, "*.", 2))
			s += 2;
		must(resolve_valid(s, strlen(s)));
	}
	must(count <= STS_PATTERNS && p->max_age <= 31557600);
	must(!p->enforce || count);
}

int
LLVMFuzzerTestOneInput(unsigned char const *s, size_t n)
{
	static struct stspolicy p = STSPOLICY_ZERO;
	char id[STS_ID + 1], *text = malloc(n + 1);

	must(text != 0);
	memcpy(text, s, n);
	text[n] = 0;
	if (stspolicy_parse(&p, (char const *)s, n) == 1) {
		check(&p);
		stspolicy_names(&p, text);
	}
	if (stspolicy_id(text, id) == 1)
		must(*id && strlen(id) == strspn(id, "0123456789"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"));
	free(text);
	return 0;
}
