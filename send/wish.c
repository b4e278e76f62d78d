#include "send/wish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "send/active.h"
#include "send/command.h"
#include "send/deliver.h"
#include "send/outcome.h"
#include "send/recipients.h"

void
wish_grant(struct active *a)
{
	uint32_t i;

	for (i = 0; i < a->rcpts; i++) {
		struct recipient *r = &a->rcpt[i];

		if (r->state > FAILED || r->wish == WISH_TRY)
			continue;
		if (r->wish == WISH_BOUNCE) {
			if (r->state != FAILED)
				outcome_fail(a, i, "DReturned by the "
				    "administrator. (#5.0.0)");
			a->granted = 1;
		} else if (r->wish == WISH_DONE && r->state != FAILED) {
			r->state = DONE;
			a->unmarked++;
			a->granted = 1;
		}
		r->wish = WISH_NONE;
	}
}

int
wish_start(struct send *s, struct active *a, int channel, int all)
{
	uint32_t i, n = 0;

	if (s->exiting || a->damaged || a->wish == WISH_HOLD ||
	    a->wish == WISH_DELETE)
		return 0;
	for (i = 0; i < a->rcpts && (all || a->named[channel]); i++) {
		struct recipient *r = &a->rcpt[i];

		if (r->channel != channel || (r->wish != WISH_TRY && !all))
			continue;
		r->wish = WISH_NONE;
		if (r->state > LATER)
			continue;
		r->state = TO_DO;
		r->next = TABLE_NONE;
		n++;
	}
	a->named[channel] = 0;
	/* who waits for another order is not kept waiting for a try */
	if (n && a->wish)
		a->again[channel] = 1;
	if (!n || a->wish || !recipients_group(s, a, channel))
		return 0;
	deliver_more(s, a);
	return 1;
}

static struct active *
find(struct send *s, uint32_t message)
{
	struct active *a = s->actives;

	while (a && a->message != message)
		a = a->after;
	return a;
}

/* Takes hold of it, with nothing to be delivered.  0, or an errno. */
static int
take(struct send *s, uint32_t message, struct active **out)
{
	struct message *m = &s->table.m[message];
	uint64_t ticket = s->ticket;
	uint32_t i;
	int r;

	if (m->state == TABLE_LEAVING || m->state == TABLE_GONE)
		return ENOENT;
	if (m->state == TABLE_ACTIVE) {
		*out = find(s, message);
		return *out && !(*out)->ticket ? 0 : EBUSY;
	}
	/* what queued has been asked and not done yet is not in the file */
	if (m->marks)
		return EBUSY;
	if (m->state == TABLE_WAITING)
		table_unwait(&s->table, message);
	s->ticket = 0;	/* it is not for what a bad file makes us ask */
	r = active_read(s, message, out);
	s->ticket = ticket;
	if (r == 0)
		return m->state == TABLE_LEAVING ? EBADMSG :
		    m->state == TABLE_WAITING ? EIO : ENOENT;
	for (i = 0; i < (*out)->rcpts; i++)
		(*out)->rcpt[i].state = NOT_DUE;
	memset((*out)->due, 0, sizeof (*out)->due);
	return 0;
}

static int
wanted(struct recipient const *r, uint32_t const *offsets, size_t n)
{
	size_t i;

	for (i = 0; i < n && offsets[i] != r->at; i++)
		;
	return !n || i < n;
}

int
wish_order(struct send *s, uint32_t message, int wish,
    uint32_t const *offsets, size_t n)
{
	struct active *a;
	uint32_t i;
	int e = take(s, message, &a);

	if (e)
		return e;
	active_cancel(s, a);
	a->ticket = s->ticket;
	s->ticket = 0;
	a->wish = wish;
	for (i = 0; i < a->rcpts; i++)
		if (wish >= WISH_BOUNCE && wanted(&a->rcpt[i], offsets, n))
			a->rcpt[i].wish = wish;
	active_settle(s, a);
	return 0;
}

int
wish_try(struct send *s, uint32_t message, uint32_t const *offsets,
    size_t n)
{
	struct active *a;
	uint32_t i;
	int e;

	if (s->table.m[message].state == TABLE_HELD)
		return EPERM;
	if (s->table.m[message].state != TABLE_ACTIVE && !deliver_room(s))
		return EBUSY;
	e = take(s, message, &a);
	if (e)
		return e;
	s->ticket = 0;
	e = a->held ? EPERM : 0;
	for (i = 0; i < a->rcpts; i++)
		if (!e && (a->rcpt[i].state == NOT_DUE ||
		    a->rcpt[i].state == LATER) &&
		    wanted(&a->rcpt[i], offsets, n)) {
			a->rcpt[i].wish = WISH_TRY;
			a->named[a->rcpt[i].channel] = 1;
		}
	active_settle(s, a);
	return e;
}

/* What we have not read since our start, or since others may have changed it,
 * may be held.  0, or an errno.
 */
static int
look(struct send *s, uint32_t message)
{
	struct message const *m = &s->table.m[message];
	uint64_t ticket = s->ticket;
	struct active *a;
	int e;

	if (m->state != TABLE_WAITING ||
	    (m->flags & (TABLE_KNOWN | TABLE_LOOK)) == TABLE_KNOWN)
		return 0;
	e = take(s, message, &a);
	if (!e)
		active_settle(s, a);
	s->ticket = ticket;
	return e;
}

/* It is active: again when what runs has ended. */
static int
again(struct send *s, struct active *a)
{
	if (a->ticket)
		return EBUSY;
	if (a->held)
		return EPERM;
	memset(a->again, 1, sizeof a->again);
	active_settle(s, a);
	return 0;
}

int
wish_now(struct send *s, uint32_t message)
{
	struct message *m = &s->table.m[message];
	int e = look(s, message);

	if (e)
		return e;
	switch (m->state) {
	case TABLE_HELD:
		return EPERM;
	case TABLE_LEAVING:
	case TABLE_GONE:
		return ENOENT;
	case TABLE_ACTIVE:
		return again(s, find(s, message));
	case TABLE_WAITING:
		table_unwait(&s->table, message);
		table_now(m);
		table_wait(&s->table, message);
		return 0;
	default:
		table_now(m);
		return 0;
	}
}

/* It is active.  A hold that waits for what runs is taken back. */
static int
unhold(struct send *s, struct active *a)
{
	if (a->held || (a->ticket && a->wish != WISH_HOLD))
		return EBUSY;
	if (a->wish != WISH_HOLD)
		return EINVAL;
	command_answer(s, a->ticket, a->id, ECANCELED);
	a->ticket = 0;
	a->wish = WISH_NONE;
	memset(a->again, 1, sizeof a->again);
	active_settle(s, a);
	return 0;
}

int
wish_release(struct send *s, uint32_t message)
{
	struct message *m = &s->table.m[message];
	int e = look(s, message);

	if (e)
		return e;
	switch (m->state) {
	case TABLE_LEAVING:
	case TABLE_GONE:
		return ENOENT;
	case TABLE_FRESH:
		return EBUSY;
	case TABLE_ACTIVE:
		return unhold(s, find(s, message));
	case TABLE_HELD:
		break;
	default:
		return EINVAL;
	}
	if (m->marks)
		return EBUSY;
	table_now(m);
	m->state = TABLE_MARKING;
	active_ask(s, 'H', message, "-", 2);
	return -1;
}
