/* What dmarcq reads of a header and of dmarcd's answer, and what dmarcd mends
 * in a record of SPF.
 *
 *	tests/fuzz/build dmarc dmarc/forged.c dmarc/result.c dmarc/macro.c
 *	/tmp/fuzz-dmarc -max_total_time=60
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dmarc/forged.h"
#include "dmarc/macro.h"
#include "dmarc/result.h"

#define US "mx.example.com"

static void
must(int good)
{
	if (!good)
		abort();
}

/* The same places, however the header comes; each is a field of that name. */
static void
header(char const *s, size_t n)
{
	static struct forged a, b;
	size_t i, k;

	forged_begin(&a, US, sizeof US - 1);
	forged_begin(&b, US, sizeof US - 1);
	must(forged_feed(&a, s, n) == 1 && forged_end(&a) == 1);
	for (i = 0; i < n; i++)
		must(forged_feed(&b, s + i, 1) == 1);
	must(forged_end(&b) == 1);
	k = genalloc_len(off_t, &a.places);
	must(k == genalloc_len(off_t, &b.places));
	for (i = 0; i < k; i++) {
		off_t at = genalloc_s(off_t, &a.places)[i];

		must(at == genalloc_s(off_t, &b.places)[i]);
		must((size_t)at + sizeof FORGED_NAME - 1 < n);
		must(!strncasecmp(s + at, FORGED_NAME, sizeof FORGED_NAME - 1));
	}
	genalloc_free(off_t, &a.places);
	genalloc_free(off_t, &b.places);
}

static void
answer(char const *s, size_t n)
{
	struct facts q = { "192.0.2.1", "h", "a@b.example", "b.example" };
	struct findings f;
	stralloc out = STRALLOC_ZERO;
	size_t i;

	memset(&f, 0, sizeof f);
	if (result_read(s, n, &f) != 1)
		return;
	must(result_field(&out, US, &q, &f, 0) == 1);
	/* one field, and nothing behind it */
	for (i = 0; i < out.len; i++) {
		must(out.s[i] == '\n' || out.s[i] == '\t' ||
		    (out.s[i] >= 32 && out.s[i] < 127));
		must(out.s[i] != '\n' || i + 1 == out.len ||
		    out.s[i + 1] == '\t');
	}
	stralloc_free(&out);
}

static void
record(char const *s, size_t n)
{
	struct facts f = { "192.0.2.1", "h.example", "a-b@example.com", "" };
	char *copy = malloc(n + 8);
	size_t k;

	memcpy(copy, "v=spf1 ", 7);
	memcpy(copy + 7, s, n);
	copy[n + 7] = 0;
	n = strlen(copy);
	k = macro_mend(copy, n, "c.example.com", &f);
	must(k <= n && strlen(copy) == k);
	free(copy);
}

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t n);

int
LLVMFuzzerTestOneInput(uint8_t const *data, size_t n)
{
	char const *s = (char const *)data;

	header(s, n);
	answer(s, n);
	record(s, n);
	return 0;
}
