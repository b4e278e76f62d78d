#include "send/wish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "send/active.h"
#include "send/deliver.h"
#include "send/outcome.h"
#include "send/recipients.h"

/* What an administrator wants of recipients, when none of them runs. */
void
wish_grant(struct active *a)
{
	uint32_t i;

	for (i = 0; i < a->rcpts; i++) {
		struct recipient *r = &a->rcpt[i];

		if (r->state >= FAILED || r->wish == WISH_TRY)
			continue;
		if (r->wish == WISH_BOUNCE) {
			outcome_fail(a, i, "DReturned by the administrator. "
			    "(#5.0.0)");
		} else if (r->wish == WISH_DONE) {
			r->state = DONE;
			a->unmarked++;
		}
		r->wish = WISH_NONE;
	}
}

/* Starts once more, with those whom an administrator wants tried.  1; 0 there
 * are none.
 */
int
wish_start(struct send *s, struct active *a)
{
	uint32_t i, n = 0;

	if (s->exiting || a->damaged || a->wish)
		return 0;
	for (i = 0; i < a->rcpts; i++) {
		struct recipient *r = &a->rcpt[i];

		if (r->wish != WISH_TRY)
			continue;
		r->wish = WISH_NONE;
		if (r->state > LATER)
			continue;
		r->state = TO_DO;
		r->next = TABLE_NONE;
		n++;
	}
	if (!n)
		return 0;
	free(a->jobs);
	a->njobs = 0;
	if (!recipients_group(s, a))
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
	uint32_t i;

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
	if (!active_read(s, message, out))
		return EIO;
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
		    wanted(&a->rcpt[i], offsets, n))
			a->rcpt[i].wish = WISH_TRY;
	active_settle(s, a);
	return e;
}

int
wish_again(struct send *s, uint32_t message)
{
	struct active *a = find(s, message);

	if (a)
		a->again = 1;
	return a != 0;
}
