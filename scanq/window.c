#include "scanq/window.h"

#include <string.h>

void
window_start(struct window *w)
{
	w->have = 0;
}

/* Keeps what is left for the next time. */
static void
keep(struct window *w, char const *s, size_t n)
{
	n = n < WINDOW ? n : WINDOW;
	memmove(w->carry, s, n);
	w->have = n;
}

void
window_feed(struct window *w, char const *s, size_t n, window_use *use,
    void *ctx)
{
	size_t old, taken, used;

	while (w->have && n) {
		old = w->have;
		taken = n < WINDOW - old ? n : WINDOW - old;
		memcpy(w->carry + old, s, taken);
		used = use(ctx, w->carry, old + taken, 0);
		if (used >= old) {
			s += used - old;
			n -= used - old;
			w->have = 0;
			break;
		}
		s += taken;
		n -= taken;
		keep(w, w->carry + used, old + taken - used);
	}
	if (!n)
		return;
	used = use(ctx, s, n, 0);
	keep(w, s + used, n - used);
}

void
window_end(struct window *w, window_use *use, void *ctx)
{
	if (w->have)
		use(ctx, w->carry, w->have, 1);
	w->have = 0;
}
