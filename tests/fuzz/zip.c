/* The archive parsers: the first byte chooses which, the rest is the archive.
 * Sums over names must not depend on the pieces in which it comes.
 *
 *	tests/fuzz/build zip $(make -s walk-sources)
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scanq/rar.h"
#include "scanq/tar.h"
#include "scanq/zip.h"

static void
take(void *ctx, struct walk_event const *e)
{
	uint64_t *sum = ctx;
	uint64_t h = (uint64_t)e->code + 1;
	size_t i;

	if (e->type == WALK_ANOMALY)
		return;
	for (i = 0; i < e->n; i++)
		h = h * 31 + (unsigned char)e->s[i];
	*sum += h;
}

static uint64_t
run(uint8_t kind, uint8_t const *data, size_t n, size_t step)
{
	static struct zip zip;
	static struct tar tar;
	static struct rar rar;
	static struct walkout out;
	uint64_t sum = 0;
	size_t k;
	char *s;

	memset(&out, 0, sizeof out);
	out.take = take;
	out.ctx = &sum;
	walkout_start(&out);
	zip_start(&zip, &out, 1);
	tar_start(&tar, &out, 1);
	rar_start(&rar, &out, 1);
	for (; n; data += k, n -= k) {
		k = n < step ? n : step;
		s = malloc(k);
		memcpy(s, data, k);
		if (kind == 0)
			zip_feed(&zip, s, k);
		else if (kind == 1)
			tar_feed(&tar, s, k);
		else
			rar_feed(&rar, s, k);
		free(s);
	}
	zip_end(&zip);
	tar_end(&tar);
	rar_end(&rar);
	return sum;
}

int
LLVMFuzzerTestOneInput(uint8_t const *data, size_t n)
{
	if (!n)
		return 0;
	if (run(*data % 3, data + 1, n - 1, n) !=
	    run(*data % 3, data + 1, n - 1, n % 13 + 1))
		abort();
	return 0;
}
