#include "queue/ordering.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/exitcode.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "queue/orders.h"

struct ordering {
	char order;		/* INTERNALS 4.5 */
	char const *done;	/* "held", "deleted" */
	stralloc offsets;
	int named;		/* messages, by their ids */
	uint64_t good, bad, later;
};

static char const *
reason(struct ordering const *o, int err)
{
	switch (err) {
	case ENOENT:
		return "send does not know it";
	case EPERM:
		return "it is held";
	case EINVAL:
		return o->order == 'U' ? "it is not held" : strerror(err);
	case EBUSY:
		return "send is still at work on it";
	case EAGAIN:
		return "the bounce could not be queued";
	case EALREADY:
		return "no recipient of it was left";
	case EBADMSG:
		return "it is damaged, and set aside";
	case ECANCELED:
		return "it was released";
	case ESHUTDOWN:
		return "send is ending";
	default:
		return strerror(err);
	}
}

static void
told(void *ctx, uint64_t id, int err)
{
	struct ordering *o = ctx;

	if (!err) {
		o->good++;
		printf("%llu: %s\n", (unsigned long long)id, o->done);
	} else if (err == ETIMEDOUT) {
		o->later++;
		printf("%llu: will be %s when its deliveries under way have "
		    "ended\n", (unsigned long long)id, o->done);
	} else if (o->order != 'U' || err != EINVAL || o->named) {
		o->bad++;
		printf("%llu: not %s: %s\n", (unsigned long long)id, o->done,
		    reason(o, err));
	}
}

/* The offsets of the recipients that were named; none: all.  1 these are all
 * that wait, 0.
 */
static int
chosen_recipients(struct tool *t, struct look *l, stralloc *offsets)
{
	size_t pos = 0, at;
	char const *to;
	int all = 1;

	if (!t->choice.to && !t->choice.domain)
		return 1;
	while ((to = look_recipient(l, &pos, &at))) {
		if (!look_fits_recipient(&t->choice, to))
			all = 0;
		else if (job_number(offsets, at) == -1)
			tool_nomem();
	}
	return all;
}

/* An order names LIMIT_ORDER recipients at most: all parts but the last are
 * carried out here.  1; 0 one was not, and told.
 */
static int
all_but_the_last(struct ordering *o, char order, uint64_t id)
{
	stralloc part = STRALLOC_ZERO, *all = &o->offsets;
	size_t i, n = 0, start = 0;
	int e = 0;

	for (i = 0; i < all->len && !e; i++) {
		n += !all->s[i];
		if (n < LIMIT_ORDER || i + 1 == all->len)
			continue;
		/* answers of others are not for this one */
		if (!stralloc_copyb(&part, all->s + start, i + 1 - start))
			tool_nomem();
		if (orders_end(told, o) == -1 ||
		    (e = orders_one(order, id, &part)) == -1)
			tool_send_is_gone();
		start = i + 1;
		n = 0;
	}
	stralloc_free(&part);
	all->len -= start;
	memmove(all->s, all->s + start, all->len);
	if (e)	/* of one that is still to come, the rest is not ordered */
		told(o, id, e == ETIMEDOUT ? EBUSY : e);
	return !e;
}

static void
order_one(struct tool *t, struct look *l, void *ctx)
{
	struct ordering *o = ctx;
	struct said said;
	char order = o->order;
	int all = 0;

	if (t->choice.reason) {
		/* answers of orders and of questions must not mix */
		if (orders_end(told, o) == -1)
			tool_send_is_gone();
		if (!tool_ask(t, l, &said))
			return;
	}
	o->offsets.len = 0;
	if (order == 'F' || order == 'R' || order == 'T')
		all = chosen_recipients(t, l, &o->offsets);
	if (order == 'T' && all)
		o->offsets.len = 0;
	if (order == 'R' && o->offsets.len)
		order = 'D';
	if (all_but_the_last(o, order, l->id) &&
	    orders_give(order, l->id, &o->offsets, told, o) == -1)
		tool_send_is_gone();
}

static int
give(struct tool *t, char order, char const *done)
{
	struct ordering o = { order, done, STRALLOC_ZERO,
		t->choice.ids.len != 0, 0, 0, 0 };

	tool_each(t, order_one, &o);
	if (orders_end(told, &o) == -1)
		tool_send_is_gone();
	stralloc_free(&o.offsets);
	o.bad += t->bad;
	if (!o.good && !o.bad && !o.later)
		puts("no message fits");
	return o.bad || !(o.good + o.later) ? EXIT_PERM : EXIT_DONE;
}

static int
orders(struct tool *t, char const *const *argv, char order, char const *done)
{
	tool_words(t, argv);
	if (!look_chosen(&t->choice))
		tool_usage();
	tool_need_send();
	return give(t, order, done);
}

int
ordering_hold(struct tool *t, char const *const *argv)
{
	return orders(t, argv, 'H', "held");
}

int
ordering_release(struct tool *t, char const *const *argv)
{
	return orders(t, argv, 'U', "released");
}

int
ordering_try(struct tool *t)
{
	return give(t, 'T', "tried now");
}

int
ordering_retry(struct tool *t, char const *const *argv)
{
	if (argv[0] && !argv[1] && strcmp(argv[0], "all") == 0) {
		tool_need_send();
		if (orders_ask('A', 0, &t->answer) != 1)
			tool_send_is_gone();
		puts("all: tried now");
		return EXIT_DONE;
	}
	return orders(t, argv, 'T', "tried now");
}

int
ordering_delete(struct tool *t, char const *const *argv)
{
	return orders(t, argv, 'R', "deleted");
}

int
ordering_bounce(struct tool *t, char const *const *argv)
{
	return orders(t, argv, 'F', "bounced");
}
