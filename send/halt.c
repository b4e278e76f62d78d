#include "send/halt.h"

#include "send/active.h"
#include "send/dest.h"

static int
stands_still(struct channel const *ch)
{
	return ch->sock == -1 || !ch->limit;
}

/* Does all that has not started wait at channels that stand still? */
static int
waits_there_alone(struct send const *s, struct active const *a)
{
	int c, there = 0;

	for (c = 0; c < CHANNELS; c++) {
		struct lane const *l = &a->lane[c];

		if (!l->waiting && l->cursor == l->end)
			continue;
		if (!s->channel[c].halted)
			return 0;
		there = 1;
	}
	return there;
}

int
halt_holds(struct send const *s, struct active const *a)
{
	uint32_t i;

	if (a->running || !waits_there_alone(s, a))
		return 0;
	for (i = 0; i < a->rcpts; i++)
		if ((a->rcpt[i].state == LATER ||
		    a->rcpt[i].state == NOT_DUE) &&
		    !s->channel[a->rcpt[i].channel].halted)
			return 1;
	return 0;
}

static void
settle_all(struct send *s)
{
	struct active *a, *after;

	for (a = s->actives; a; a = after) {
		after = a->after;
		active_settle(s, a);
	}
}

void
halt_look(struct send *s)
{
	int c, changed = 0;

	for (c = 0; c < CHANNELS; c++) {
		struct channel *ch = &s->channel[c];

		if (ch->halted == stands_still(ch))
			continue;
		changed = 1;
		ch->halted = !ch->halted;
		if (!ch->halted)
			table_go_on(&s->table, c);
	}
	if (!changed)
		return;
	dest_unpark(s);
	settle_all(s);
}
