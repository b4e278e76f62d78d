#include "scanq/readings.h"

#include <string.h>

#include "scanq/layer.h"

void
readings_start(struct readings *o, struct layers *all)
{
	o->all = all;
	o->n = 0;
	o->end = 0;
}

void
readings_more(struct readings *o, char const *s, size_t n)
{
	unsigned int i;

	for (i = 0; i < o->n; i++)
		leaf_feed(o->reading[i].leaf, s, n);
}

void
readings_release(struct readings *o)
{
	if (o->end)
		readings_more(o, o->end_of_line, o->end);
	o->end = 0;
}

void
readings_line(struct readings *o, char const *s, size_t n, int complete)
{
	readings_release(o);
	if (!o->n)
		return;
	if (!complete) {
		readings_more(o, s, n);
		return;
	}
	if (n && s[n - 1] == '\r') {
		o->end_of_line[o->end++] = '\r';
		n--;
	}
	o->end_of_line[o->end++] = '\n';
	readings_more(o, s, n);
}

static void
feed_layer(void *ctx, char const *s, size_t n)
{
	layer_feed(ctx, s, n);
}

/* What a reading decodes to is a message, or a multipart. */
static void
open_layer(struct layers *all, struct reading *r, struct entity const *e)
{
	if (!all->free_layers) {
		walkout_anomaly(&all->out, e->part, WALK_TOO_DEEP, "", 0);
		return;
	}
	r->layer = all->layer[--all->free_layers];
	if (e->multipart && !e->message)
		layer_multipart(r->layer, all, e);
	else
		layer_message(r->layer, all, e->part, e->depth + 1);
	r->leaf->also = feed_layer;
	r->leaf->ctx = r->layer;
}

static void
close_reading(struct layers *all, struct reading *r)
{
	leaf_close(r->leaf);
	all->leaf[all->free_leaves++] = r->leaf;
	if (!r->layer)
		return;
	layer_end(r->layer);
	all->layer[all->free_layers++] = r->layer;
}

void
readings_close(struct readings *o, unsigned int levels)
{
	unsigned int i, kept = 0;

	for (i = 0; i < o->n; i++) {
		if (o->reading[i].levels < levels)
			o->reading[kept++] = o->reading[i];
		else
			close_reading(o->all, &o->reading[i]);
	}
	o->n = kept;
}

/* There are too many: a part before this one has to end, if there is one. */
static void
make_room(struct readings *o, uint32_t part)
{
	unsigned int i;

	walkout_anomaly(&o->all->out, part, WALK_TOO_MANY_READINGS, "", 0);
	for (i = 0; i < o->n; i++)
		if (o->reading[i].leaf->part != part)
			break;
	if (i == o->n)
		return;
	close_reading(o->all, &o->reading[i]);
	o->n--;
	memmove(&o->reading[i], &o->reading[i + 1],
	    (o->n - i) * sizeof *o->reading);
}

void
readings_open(struct readings *o, struct entity *e,
    enum walk_encoding encoding, int layer, unsigned int levels)
{
	struct layers *all = o->all;
	struct reading *r;
	struct leaf_setup setup = { &all->out, e->part, 0, e->depth, encoding,
	    e->text, &e->label };

	readings_release(o);
	if (o->n == WALK_READINGS || !all->free_leaves)
		make_room(o, e->part);
	if (o->n == WALK_READINGS || !all->free_leaves)
		return;
	setup.alt = o->alt++;
	r = &o->reading[o->n++];
	r->levels = levels;
	r->layer = 0;
	r->leaf = all->leaf[--all->free_leaves];
	leaf_open(r->leaf, &setup);
	if (layer)
		open_layer(all, r, e);
}

int
readings_lf(struct readings *o, char const *s)
{
	if (o->end != 1 || *o->end_of_line != '\r' || *s != '\n')
		return 0;
	o->end_of_line[o->end++] = '\n';
	return 1;
}

/* But for the end of the last one. */
void
readings_lines(struct readings *o, char const *s, size_t n)
{
	size_t k = n;

	readings_release(o);
	if (!o->n)
		return;
	if (s[k - 1] == '\n')
		k--;
	if (k && s[k - 1] == '\r')
		k--;
	readings_more(o, s, k);
	o->end = n - k;
	memcpy(o->end_of_line, s + k, o->end);
}
