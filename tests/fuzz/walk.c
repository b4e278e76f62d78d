/* What the walker makes of a message must not depend on the pieces in which it
 * comes: parts, leaves, their sizes and bytes, and the kinds of anomalies.
 * (Numbers of parts may, where several readings find files in a text.)
 *
 *	tests/fuzz/build walk $(make -s walk-sources)
 *
 * More seeds: tests/evasion.py DIRECTORY.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scanq/walk.h"

enum { STREAMS = 65536 };

struct seen {
	uint64_t events;	/* a sum: their order may differ */
	unsigned char anomaly[WALK_ANOMALY_COUNT];
	int done;
	uint64_t data[STREAMS];	/* of leaves that are open */
};

static uint64_t
hash(uint64_t h, char const *s, size_t n)
{
	while (n--)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
	return h;
}

static void
take(void *ctx, struct walk_event const *e)
{
	struct seen *seen = ctx;
	uint64_t *data = &seen->data[(e->part * 16 + e->alt) % STREAMS];
	uint64_t h = (uint64_t)e->type * 256 + (uint64_t)e->code + e->size;

	if (seen->done || e->n > WALK_VALUE || e->tn > WALK_VALUE)
		abort();
	if (e->type == WALK_DATA)
		*data = hash(*data, e->s, e->n);
	else if (e->type == WALK_ANOMALY)
		seen->anomaly[e->code] = 1;
	else if (e->type == WALK_FILE && (!e->n || e->n > WALK_NAME))
		abort();
	seen->done = e->type == WALK_DONE;
	if (e->type == WALK_DATA || e->type == WALK_ANOMALY ||
	    e->type == WALK_FILE)
		return;
	if (e->type == WALK_END) {
		h = hash(h, (char const *)data, sizeof *data);
		*data = 0;
	}
	h = hash(h, e->s, e->n);
	seen->events += hash(h, e->t, e->tn);
}

static void
run(walk *w, uint8_t const *data, size_t n, size_t step)
{
	char *piece;
	size_t k;

	for (; n; data += k, n -= k) {
		k = n < step ? n : step;
		piece = malloc(k);
		memcpy(piece, data, k);
		walk_feed(w, piece, k);
		free(piece);
	}
	walk_end(w);
}

int
LLVMFuzzerTestOneInput(uint8_t const *data, size_t n)
{
	static struct seen one, other;
	static walk *a, *b;

	if (!a && (!(a = walk_new(take, &one, 0)) ||
	    !(b = walk_new(take, &other, 0))))
		abort();
	memset(&one, 0, offsetof(struct seen, data));
	memset(&other, 0, offsetof(struct seen, data));
	run(a, data, n, n ? n : 1);
	run(b, data, n, n % 7 + 1);
	if (memcmp(&one, &other, offsetof(struct seen, data)) != 0)
		abort();
	return 0;
}
