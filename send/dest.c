#include "send/dest.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

int
dest_init(struct send *s)
{
	s->dest = calloc(BUCKETS, sizeof *s->dest);
	return s->dest ? 1 : -1;
}

/* Lower case, so that domains differ in more than it. */
static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static int
same(char const *stored, char const *name)
{
	while (*stored && *stored == lower(*name)) {
		stored++;
		name++;
	}
	return !*stored && !*name;
}

static struct dest **
bucket(struct send const *s, int channel, char const *name)
{
	uint32_t h = channel;

	for (; *name; name++)
		h = h * 33 ^ (unsigned char)lower(*name);
	return &s->dest[h * 0x9e3779b9u >> 20];
}

static unsigned int
start_window(struct dest const *d)
{
	return d->channel == LOCAL || d->pace.limit < DEST_START ?
	    d->pace.limit : DEST_START;
}

static struct dest *
make(struct send *s, int channel, char const *name)
{
	size_t n = strlen(name), i;
	struct dest *d = malloc(sizeof *d + n + 1);

	if (!d)
		return 0;
	memset(d, 0, sizeof *d);
	for (i = 0; i <= n; i++)
		d->name[i] = lower(name[i]);
	d->channel = channel;
	pace_find(&s->paces, d->name, channel == REMOTE, &d->pace);
	d->window = start_window(d);
	d->jobs_end = &d->jobs;
	d->parked.first = TABLE_NONE;
	return d;
}

/* It is not idle any more. */
static void
wake(struct send *s, struct dest *d)
{
	if (!d->idle)
		return;
	if (d->older)
		d->older->newer = d->newer;
	else
		s->oldest = d->newer;
	if (d->newer)
		d->newer->older = d->older;
	else
		s->newest = d->older;
	d->older = d->newer = 0;
	d->idle = 0;
	s->idle--;
}

struct dest *
dest_get(struct send *s, int channel, char const *name)
{
	struct dest **b = bucket(s, channel, name), *d;

	for (d = *b; d; d = d->next)
		if (d->channel == channel && same(d->name, name)) {
			wake(s, d);
			return d;
		}
	d = make(s, channel, name);
	if (!d)
		return 0;
	d->next = *b;
	*b = d;
	s->dests++;
	return d;
}

int
dest_full(struct send const *s, struct dest const *d)
{
	return d->running >= d->window || d->next_at > s->now;
}

int
dest_free(struct send const *s, struct dest const *d)
{
	struct channel const *ch = &s->channel[d->channel];

	return ch->sock != -1 && !ch->full && ch->running < ch->limit &&
	    !dest_full(s, d) && d->running < 8 * (ch->limit - ch->running);
}

void
dest_wait(struct send *s, struct dest *d, struct job *j)
{
	j->next = 0;
	*d->jobs_end = j;
	d->jobs_end = &j->next;
	dest_settle(s, d);
}

void
dest_park(struct send *s, struct dest *d, uint32_t message)
{
	s->table.m[message].next[d->channel] = TABLE_IN_LINE;
	table_enlist(&s->table, message, d->channel, &d->parked);
	dest_settle(s, d);
}

struct job *
dest_next_job(struct dest *d)
{
	struct job *j = d->jobs;

	if (j) {
		d->jobs = j->next;
		if (!d->jobs)
			d->jobs_end = &d->jobs;
	}
	return j;
}

uint32_t
dest_next_parked(struct send *s, struct dest *d)
{
	uint32_t message;

	while (d->parked.first != TABLE_NONE) {
		if (table_unlist(&s->table, d->channel, &d->parked, &message))
			return message;
		s->retry_at = s->now;	/* active, it may be due there now */
	}
	return TABLE_NONE;
}

void
dest_cancel(struct dest *d, struct active const *a)
{
	struct job **j = &d->jobs;

	while (*j)
		if ((*j)->a == a)
			*j = (*j)->next;
		else
			j = &(*j)->next;
	d->jobs_end = j;
}

static void
ring_in(struct channel *ch, struct dest *d)
{
	if (!ch->turn) {
		d->before = d->after = d;
		ch->turn = d;
	} else {
		/* last: in front of the one whose turn it is */
		d->after = ch->turn;
		d->before = ch->turn->before;
		d->before->after = d;
		d->after->before = d;
	}
	ch->turns++;
}

static void
ring_out(struct channel *ch, struct dest *d)
{
	if (ch->turn == d)
		ch->turn = d->after == d ? 0 : d->after;
	d->before->after = d->after;
	d->after->before = d->before;
	d->before = d->after = 0;
	ch->turns--;
}

static void
forget(struct send *s, struct dest *d)
{
	struct dest **p = bucket(s, d->channel, d->name);

	while (*p != d)
		p = &(*p)->next;
	*p = d->next;
	s->dests--;
	free(d);
}

/* Nothing to do there, but something to remember. */
static void
rest(struct send *s, struct dest *d)
{
	if (d->idle)
		return;
	d->idle = s->now ? s->now : 1;
	d->older = s->newest;
	if (s->newest)
		s->newest->newer = d;
	else
		s->oldest = d;
	s->newest = d;
	s->idle++;
}

void
dest_settle(struct send *s, struct dest *d)
{
	struct channel *ch = &s->channel[d->channel];
	int waits = d->jobs || d->parked.first != TABLE_NONE;
	int in = waits && (d->pace.frozen || !dest_full(s, d));

	if (waits && d->next_at > s->now &&
	    (!s->rate_at || d->next_at < s->rate_at))
		s->rate_at = d->next_at;

	if (in && !d->after)
		ring_in(ch, d);
	if (!in && d->after)
		ring_out(ch, d);
	if (waits || d->users)
		return;
	if (d->window != start_window(d) || d->next_at > s->now)
		rest(s, d);
	else
		forget(s, d);
}

void
dest_sent(struct send *s, struct dest *d, uint32_t recipients)
{
	if (!d->pace.interval)
		return;
	if (d->next_at < s->now)
		d->next_at = s->now;
	d->next_at += (uint64_t)d->pace.interval * recipients;
}

void
dest_learn(struct dest *d, struct job const *j)
{
	if (d->channel != REMOTE)
		return;
	if (j->reached && d->window < d->pace.limit)
		d->window++;
	else if (j->trouble && !j->reached)
		d->window = d->window > 1 ? d->window / 2 : 1;
}

static void
each(struct send *s, void (*f)(struct send *, struct dest *))
{
	struct dest *d, *next;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (d = s->dest[i]; d; d = next) {
			next = d->next;
			f(s, d);
		}
}

static void
settle_awake(struct send *s, struct dest *d)
{
	if (!d->idle)
		dest_settle(s, d);
}

static void
find_pace(struct send *s, struct dest *d)
{
	pace_find(&s->paces, d->name, d->channel == REMOTE, &d->pace);
	if (d->window > d->pace.limit || d->channel == LOCAL)
		d->window = d->pace.limit;
	if (!d->pace.interval)
		d->next_at = 0;
	settle_awake(s, d);
}

void
dest_reload(struct send *s)
{
	each(s, find_pace);
}

void
dest_tick(struct send *s)
{
	struct dest *d;

	if (s->rate_at && s->now >= s->rate_at) {
		s->rate_at = 0;
		each(s, settle_awake);
	}
	while ((d = s->oldest) && (s->idle > DEST_IDLE_MOST ||
	    s->now - d->idle > DEST_IDLE) && d->next_at <= s->now) {
		wake(s, d);
		forget(s, d);
	}
}
