#include "scanq/walk.h"

#include <stdlib.h>

#include "scanq/layer.h"

struct walk {
	struct layers all;
	uint64_t size;
	struct layer layer[WALK_LAYERS];
	struct leaf leaf[LAYER_LEAVES];
};

static void
begin(struct walk *w)
{
	unsigned int i;

	walkout_start(&w->all.out);
	w->size = 0;
	w->all.free_layers = 0;
	for (i = WALK_LAYERS; --i;)	/* the first is the message's */
		w->all.layer[w->all.free_layers++] = &w->layer[i];
	w->all.free_leaves = 0;
	for (i = LAYER_LEAVES; i--;)
		w->all.leaf[w->all.free_leaves++] = &w->leaf[i];
	layer_message(&w->layer[0], &w->all, 0, 0);
}

walk *
walk_new(walk_take *take, void *ctx, int flags)
{
	struct walk *w = malloc(sizeof *w);

	if (!w)
		return 0;
	w->all.out.take = take;
	w->all.out.ctx = ctx;
	w->all.out.flags = flags;
	begin(w);
	return w;
}

void
walk_free(walk *w)
{
	free(w);
}

void
walk_feed(walk *w, char const *s, size_t n)
{
	w->size += n;
	layer_feed(&w->layer[0], s, n);
}

void
walk_end(walk *w)
{
	layer_end(&w->layer[0]);
	walkout_done(&w->all.out, w->size);
	begin(w);
}
