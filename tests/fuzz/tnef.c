/* The parser of winmail.dat: files begin and end in turn, and what comes out
 * does not depend on the pieces in which it comes.
 *
 *	tests/fuzz/build tnef $(make -s walk-sources)
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scanq/tnef.h"

struct seen {
	int open;
	uint64_t sum;
};

static void
begin(void *ctx, enum walk_encoding encoding)
{
	struct seen *s = ctx;

	(void)encoding;
	if (s->open++)
		abort();
}

static void
bytes(void *ctx, char const *p, size_t n)
{
	struct seen *s = ctx;

	if (!s->open)
		abort();
	while (n--)
		s->sum = s->sum * 31 + (unsigned char)*p++;
}

static void
name(void *ctx, enum walk_source source, char const *p, size_t n)
{
	(void)source;
	bytes(ctx, p, n);
}

static void
end(void *ctx)
{
	struct seen *s = ctx;

	if (!s->open--)
		abort();
}

static void
anomaly(void *ctx, enum walk_anomaly code, char const *p, size_t n)
{
	(void)ctx;
	(void)code;
	(void)p;
	(void)n;
}

static uint64_t
run(uint8_t const *data, size_t n, size_t step)
{
	static struct tnef t;
	struct seen seen = { 0, 0 };
	struct inner inner = { &seen, begin, name, bytes, end, anomaly };
	size_t k;
	char *s;

	tnef_start(&t, &inner);
	for (; n; data += k, n -= k) {
		k = n < step ? n : step;
		s = malloc(k);
		memcpy(s, data, k);
		tnef_feed(&t, s, k);
		free(s);
	}
	tnef_end(&t);
	if (seen.open)
		abort();
	return seen.sum;
}

int
LLVMFuzzerTestOneInput(uint8_t const *data, size_t n)
{
	if (run(data, n, n ? n : 1) != run(data, n, n % 13 + 1))
		abort();
	return 0;
}
