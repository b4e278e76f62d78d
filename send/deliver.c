#include "send/deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/job.h"
#include "lib/limits.h"
#include "lib/packet.h"
#include "send/active.h"
#include "send/dest.h"
#include "send/line.h"
#include "send/outcome.h"

enum {
	WINDOW = 16,		/* destinations at which one message waits for
				 * a slot of a channel at once: a list does not
				 * stand before everybody else */
	TURNS = 64,		/* slots given, reports read, in one go */
	SLOT_BITS = 20,		/* of a delivery's number on the wire */
	/* active messages of which nothing runs: beyond so many, one is only
	 * opened if something of it can start; beyond twice as many, one that
	 * has come to a stop is put back; and that is enough */
	STILL = 128,
	STILL_MOST = 3 * STILL
};

void
deliver_status(struct send *s)
{
	int c;

	line_put("status:");
	for (c = 0; c < CHANNELS; c++) {
		line_put(" ");
		line_put(s->channel[c].name);
		line_put(" ");
		line_number(s->channel[c].running);
		line_put("/");
		line_number(s->channel[c].limit);
	}
	if (s->exiting)
		line_put(" exitasap");
	line_end();
}

/* Makes sure of so many free slots. */
static int
reserve(struct send *s, uint32_t count)
{
	uint32_t more = s->slots * 2 + count, i;
	struct slot *p;

	if (s->free_slot >= count)
		return 1;
	if (more > (uint32_t)1 << SLOT_BITS)
		return 0;
	while (!(p = realloc(s->slot, more * sizeof *p)))
		state_nomem();
	for (i = s->slots; i < more; i++)
		p[i].number = 0;
	s->free_slot += more - s->slots;
	s->slot = p;
	s->slots = more;
	return 1;
}

/* "owner-@host-@[]" becomes "owner-recipient=domain@host" (VERP). */
static int
put_sender(stralloc *out, char const *sender, char const *to)
{
	size_t n = strlen(sender);
	char const *at, *toat = strrchr(to, '@');

	if (n < 4 || memcmp(sender + n - 4, "-@[]", 4) != 0 || !toat)
		return job_put(out, sender, n);
	at = memrchr(sender, '@', n - 4);
	if (!at)
		return job_put(out, sender, n);
	return stralloc_catb(out, sender, at - sender) &&
	    stralloc_catb(out, to, toat - to) && stralloc_catb(out, "=", 1) &&
	    stralloc_cats(out, toat + 1) &&
	    job_put(out, at, sender + n - 4 - at) == 1 ? 1 : -1;
}

/* The packet of a job.  Its slots are free: the wire's number of each
 * delivery holds its slot's.
 */
static int
build(struct send *s, struct job *j, stralloc *out)
{
	struct active *a = j->a;
	struct recipient *r = &a->rcpt[j->first];
	uint64_t number = s->number;
	uint32_t i, k = 0;

	out->len = 0;
	if (job_number(out, a->id) == -1 || put_sender(out, a->sender,
	    a->text.s + r->address + r->prefix) == -1 || job_puts(out,
	    j->dest->channel == REMOTE ? j->dest->name : "") == -1)
		return -1;
	for (i = j->first; i != TABLE_NONE; i = a->rcpt[i].next) {
		while (s->slot[k].number)
			k++;
		if (job_number(out, ++number << SLOT_BITS | k++) == -1 ||
		    job_puts(out, a->text.s + a->rcpt[i].address) == -1)
			return -1;
	}
	return 1;
}

static void
log_start_of(struct send *s, struct job *j, char const *to)
{
	line_put("starting delivery ");
	line_number(s->number);
	line_put(": msg ");
	line_number(j->a->id);
	line_put(" to ");
	line_put(s->channel[j->dest->channel].name);
	line_put(" ");
	line_text(to, strlen(to));
	line_end();
}

/* It is sent: now the slots are taken, the same ones that build gave. */
static void
started(struct send *s, struct job *j)
{
	struct active *a = j->a;
	uint32_t i, k = 0;

	for (i = j->first; i != TABLE_NONE; i = a->rcpt[i].next) {
		while (s->slot[k].number)
			k++;
		s->slot[k].number = ++s->number;
		s->slot[k].job = j;
		s->slot[k].rcpt = i;
		a->rcpt[i].state = RUNNING;
		log_start_of(s, j, a->text.s + a->rcpt[i].address);
	}
	s->free_slot -= j->count;
	j->left = j->count;
	j->state = JOB_RUNS;
	a->lane[j->dest->channel].running++;
	s->nstill -= !a->running++;
	dest_sent(s, j->dest, j->count);
	j->dest->running++;
	s->channel[j->dest->channel].running++;
	deliver_status(s);
}

/* Its destination was frozen while it waited. */
static void
put_off(struct send *s, struct job *j)
{
	struct active *a = j->a;
	struct dest *d = j->dest;
	uint32_t i;

	for (; j; j = j->more) {
		for (i = j->first; i != TABLE_NONE; i = a->rcpt[i].next)
			a->rcpt[i].state = LATER;
		j->state = JOB_ENDED;
		d->users--;
	}
	dest_settle(s, d);
	deliver_more(s, a);
	active_settle(s, a);
}

/* 1 started; 0 not now. */
static int
start(struct send *s, struct job *j)
{
	static stralloc packet = STRALLOC_ZERO;
	struct channel *ch = &s->channel[j->dest->channel];

	if (!reserve(s, j->count))
		return 0;
	while (build(s, j, &packet) == -1)
		state_nomem();
	if (packet_send(ch->sock, packet.s, packet.len, j->a->fd) == 1) {
		started(s, j);
		return 1;
	}
	/* if the spawner is gone, the end of what it says will tell */
	ch->full = 1;
	if (errno != EAGAIN && errno != EPIPE && errno != ECONNRESET)
		state_nomem();	/* no buffers, too many descriptors */
	return 0;
}

static void
wait_at_dest(struct send *s, struct job *j)
{
	struct lane *l = &j->a->lane[j->dest->channel];

	j->state = JOB_WAITS;
	j->ahead = !dest_full(s, j->dest);
	l->ahead += j->ahead;
	l->waiting++;
	dest_wait(s, j->dest, j);
}

/* Those who wait for this channel come first. */
static int
can_start(struct send *s, struct job const *j)
{
	return !s->exiting && !s->channel[j->dest->channel].turn &&
	    dest_free(s, j->dest);
}

/* Starts it and what is behind it, or has it wait. */
static void
offer(struct send *s, struct job *j)
{
	while (j && can_start(s, j) && start(s, j) == 1)
		j = j->more;
	if (j)
		wait_at_dest(s, j);
}

void
deliver_more(struct send *s, struct active *a)
{
	struct lane *l;

	for (l = a->lane; l < a->lane + CHANNELS; l++)
		while (l->cursor < l->end && l->ahead < WINDOW) {
			struct job *j = &l->jobs[l->cursor++];

			if (!j->follows)
				offer(s, j);
		}
}

int
deliver_free(struct channel const *ch)
{
	return ch->sock != -1 && !ch->full && ch->running < ch->limit;
}

int
deliver_room(struct send const *s)
{
	return s->nstill < STILL_MOST;
}

static int
can_start_any(struct send *s, struct active *a)
{
	struct lane const *l;
	uint32_t i;

	for (l = a->lane; l < a->lane + CHANNELS; l++)
		for (i = l->cursor; i < l->end && i < l->cursor + WINDOW; i++)
			if (can_start(s, &l->jobs[i]))
				return 1;
	return 0;
}

/* Its turn: the job there, if there is one, becomes the first of its channel
 * and starts.  1; 0 not now.
 */
static int
begin_at(struct send *s, struct active *a, struct dest const *d)
{
	struct lane *l = &a->lane[d->channel];
	struct job *first = &l->jobs[l->cursor], other;
	uint32_t i = l->cursor;

	while (i < l->end && l->jobs[i].dest != d)
		i++;
	if (i == l->end || s->exiting || !dest_free(s, d))
		return 0;
	other = *first;
	*first = l->jobs[i];
	l->jobs[i] = other;
	if (start(s, first) != 1)
		return 0;
	l->cursor++;
	offer(s, first->more);
	return 1;
}

void
deliver_message(struct send *s, uint32_t message, struct dest const *turn)
{
	struct active *a;

	if (active_open(s, message, &a) == 0)
		return;
	if (!(turn && begin_at(s, a, turn)) && s->nstill > STILL &&
	    !can_start_any(s, a)) {
		active_park(s, a);
		return;
	}
	deliver_more(s, a);
	active_settle(s, a);
}

static void
take_parked(struct send *s, struct dest *d)
{
	uint32_t message = dest_next_parked(s, d);

	d->users++;		/* it stays while we look at it */
	if (message != TABLE_NONE)
		deliver_message(s, message, d);
	d->users--;
	dest_settle(s, d);
}

/* The turn of one destination: one of its jobs, then a message parked there,
 * so that neither waits for all of the other.  1 something started; 0 not now.
 */
static int
take_turn(struct send *s, struct dest *d)
{
	struct job *j;
	struct active *a;

	d->parked_next = !d->parked_next;
	if (!d->jobs || (!d->parked_next && d->parked.first != TABLE_NONE)) {
		take_parked(s, d);
		return 1;
	}
	j = dest_next_job(d);
	a = j->a;
	a->lane[d->channel].waiting--;
	a->lane[d->channel].ahead -= j->ahead;
	if (d->pace.frozen) {
		put_off(s, j);
		return 1;
	}
	if (start(s, j) != 1) {
		wait_at_dest(s, j);
		return 0;
	}
	dest_settle(s, d);
	offer(s, j->more);
	deliver_more(s, a);
	return 1;
}

int
deliver_turns(struct send *s, int channel)
{
	struct channel *ch = &s->channel[channel];
	size_t idle = 0;
	unsigned int i;

	for (i = 0; i < TURNS && ch->turn && !s->exiting; i++) {
		struct dest *d = ch->turn;

		if (!deliver_free(ch) || idle >= ch->turns)
			return 0;
		ch->turn = d->after;
		if (!d->pace.frozen && !dest_free(s, d)) {
			idle++;
			continue;
		}
		if (take_turn(s, d) != 1)
			return 0;
		idle = 0;
	}
	return i == TURNS && idle < TURNS;
}

static void
job_ends(struct send *s, struct job *j)
{
	struct active *a = j->a;

	s->channel[j->dest->channel].running--;
	j->dest->running--;
	j->dest->users--;
	j->state = JOB_ENDED;
	a->lane[j->dest->channel].running--;
	s->nstill += !--a->running;
	dest_learn(j->dest, j);
	dest_settle(s, j->dest);
	deliver_status(s);
	if (!s->exiting)
		deliver_more(s, a);
	/* one channel stands still, and has what the other one left */
	if (!a->running && s->nstill > 2 * STILL)
		active_cancel(s, a);
	active_settle(s, a);
}

static void
delivery_ends(struct send *s, struct slot *slot, char const *text)
{
	struct job *j = slot->job;

	outcome_note(s, slot, text);
	slot->number = 0;
	s->free_slot++;
	if (!--j->left)
		job_ends(s, j);
}

/* A spawner is gone: what it had under way failed for now, through no fault
 * of the message.  What it takes waits for another one.
 */
static void
lost(struct send *s, int channel)
{
	struct channel *ch = &s->channel[channel];
	uint32_t i;

	line_put("alert: oh no! lost spawn connection! waiting for another (");
	line_put(ch->name);
	line_put(")");
	line_end();
	close(ch->sock);
	ch->sock = -1;
	ch->full = 0;
	for (i = 0; i < s->slots; i++)
		if (s->slot[i].number &&
		    s->slot[i].job->dest->channel == channel)
			delivery_ends(s, &s->slot[i], "");
}

void
deliver_spawner(struct send *s, int channel)
{
	struct channel *ch = &s->channel[channel];
	char c;
	size_t n;
	int r = packet_recv(ch->news, &c, sizeof c, &n, &ch->sock);

	if (r == 1 && ch->sock != -1) {
		fcntl(ch->sock, F_SETFL, O_NONBLOCK);
		line_put("info: another spawner (");
		line_put(ch->name);
		line_put(")");
		line_end();
	} else if (r == 0) {	/* start is gone, and so will we be */
		close(ch->news);
		ch->news = -1;
	}
}

/* One packet of reports: numbers and texts.  1; 0 not a report. */
static int
reports(struct send *s, int channel, char const *packet, size_t n)
{
	uint64_t number;
	size_t pos = 0;

	while (pos < n) {
		char const *text;
		uint32_t k;

		if (!job_field_number(packet, n, &pos, &number))
			return 0;
		text = job_field(packet, n, &pos);
		k = number & (((uint32_t)1 << SLOT_BITS) - 1);
		if (!text || k >= s->slots || !s->slot[k].number ||
		    s->slot[k].number != number >> SLOT_BITS ||
		    s->slot[k].job->dest->channel != channel)
			return 0;
		delivery_ends(s, &s->slot[k], text);
	}
	return 1;
}

void
deliver_reports(struct send *s, int channel)
{
	static char packet[LIMIT_PACKET];
	struct channel *ch = &s->channel[channel];
	size_t n;
	int i, r;

	/* where nothing runs any more, what comes next is left to poll */
	for (i = 0; i < TURNS && ch->sock != -1 && (!i || ch->running); i++) {
		r = packet_recv(ch->sock, packet, sizeof packet, &n, 0);
		if (r == -1 && errno == EAGAIN)
			return;
		if (r == 0 || (r == -1 && errno != EMSGSIZE)) {
			lost(s, channel);
			return;
		}
		if (r == -1 || reports(s, channel, packet, n) == 0) {
			line_put("warning: spawner of ");
			line_put(ch->name);
			line_put(" deliveries sent a report that belongs to "
			    "none");
			line_end();
		}
	}
}
