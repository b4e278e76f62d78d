#include "send/found.h"

#include <string.h>

static void
append_fresh(struct send *s, uint32_t i)
{
	s->table.m[i].state = TABLE_FRESH;
	table_enlist(&s->table, i, 0, &s->fresh);
}

/* 1 it was not known; 0.  It may have left and come back, by an
 * administrator's hand, while its place in a list is still to be cleared.
 */
static int
add(struct send *s, uint64_t id, uint32_t *i)
{
	struct message *m;

	if (!table_find(&s->table, id, i)) {
		while (table_add(&s->table, id, i) == -1)
			state_nomem();
		return 1;
	}
	m = &s->table.m[*i];
	if (m->state == TABLE_GONE) {
		m->flags &= ~(TABLE_KNOWN | TABLE_WARNED | TABLE_LOOK);
		m->reason = 0;
		memset(m->next, 0, sizeof m->next);
		table_wait(&s->table, *i);
	}
	return 0;
}

int
found_later(void *ctx, uint64_t id)
{
	struct send *s = ctx;
	uint32_t i;

	if (add(s, id, &i))
		append_fresh(s, i);
	return 1;
}

/* Our first reading may have been quicker: a new message does not stand behind
 * the old ones for that.
 */
int
found_new(void *ctx, uint64_t id)
{
	struct send *s = ctx;
	struct message const *m;
	uint32_t i;

	if (add(s, id, &i)) {
		append_fresh(s, i);
		return 1;
	}
	m = &s->table.m[i];
	if (m->state == TABLE_WAITING &&
	    !(m->flags & (TABLE_KNOWN | TABLE_LISTED))) {
		table_unwait(&s->table, i);
		append_fresh(s, i);
	}
	return 1;
}

/* What was tried before we were restarted goes on with its schedule. */
static void
remember(struct send *s, struct message *m)
{
	uint64_t birth = m->id / 1000000000, now = s->steady.wall, next, age;
	int c;

	if (!memory_tried(&s->memory, birth))
		return;
	for (c = 0; c < CHANNELS; c++) {
		next = s->memory.alive + schedule_delay(&s->schedule, birth,
		    s->memory.alive, s->channel[c].skip);
		m->next[c] = next > now ? SECONDS(s) + (next - now) : 0;
	}
	/* the try behind the time of the notice was its time */
	age = s->memory.alive - birth;
	if (age > s->delaynotice && age - s->delaynotice > schedule_delay(
	    &s->schedule, 0, s->delaynotice, s->channel[REMOTE].skip))
		m->flags |= TABLE_WARNED;
}

int
found_old(void *ctx, uint64_t id)
{
	struct send *s = ctx;
	uint32_t i;

	if (add(s, id, &i)) {
		remember(s, &s->table.m[i]);
		table_wait(&s->table, i);
	}
	return 1;
}
