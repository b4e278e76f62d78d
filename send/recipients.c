#include "send/recipients.h"

#include <stdlib.h>
#include <string.h>

#include "lib/job.h"
#include "lib/limits.h"
#include "lib/smtpaddress.h"
#include "send/dest.h"
#include "send/reasons.h"

enum {
	/* recipients in one job: RFC 5321 4.5.3.1.8 lets a server take no
	 * more than 100 */
	GROUP = 100,
	/* room for addresses in a packet */
	PACKET = LIMIT_PACKET - 4096
};

/* Routes one recipient and adds it. */
static void
add_recipient(struct send *s, struct active *a, size_t at, char const *value,
    size_t n)
{
	struct recipient *r = &a->rcpt[a->rcpts++];
	stralloc to = STRALLOC_ZERO;
	size_t prefix = 0;
	int where;

	while ((where = route_address(&s->route, value, n, &to, &prefix)) ==
	    -1)
		state_nomem();
	r->at = at;
	r->address = a->text.len;
	r->next = TABLE_NONE;
	r->prefix = where == 1 ? prefix : 0;
	r->channel = where == 1 ? LOCAL : REMOTE;
	r->state = a->due[r->channel] ? TO_DO : NOT_DUE;
	while (job_put(&a->text, to.s, to.len) == -1)
		state_nomem();
	stralloc_free(&to);
}

static uint32_t
count_recipients(stralloc const *envelope)
{
	size_t pos = 0, n;
	uint32_t count = 0;
	char const *value;
	char letter;

	while (msgfile_next(envelope, &pos, &letter, &value, &n))
		count += letter == 'T';
	return count;
}

void
recipients_read(struct send *s, struct active *a, struct origin *o)
{
	uint32_t count = count_recipients(&a->envelope);
	size_t pos = 0, at, n;
	char const *value;
	char letter;

	while (!(a->rcpt = calloc(count ? count : 1, sizeof *a->rcpt)))
		state_nomem();
	for (at = 0; msgfile_next(&a->envelope, &pos, &letter, &value, &n);
	    at = pos) {
		if (letter == 'u')
			o->uid = value;
		else if (letter == 'p')
			o->qp = value;
		else if (letter == 'F')
			a->sender = value;
		else if (letter == 'h')
			a->held = *value == 'H';
		else if (letter == 'T')
			add_recipient(s, a, at, value, n);
	}
}

static struct job *
new_job(struct active *a, struct dest *d)
{
	struct lane *l = &a->lane[d->channel];
	struct job *j = &l->jobs[l->end++];

	if (d->open) {
		d->open->more = j;
		j->follows = 1;
	}

	j->a = a;
	j->dest = d;
	j->first = j->last = TABLE_NONE;
	d->users++;
	return j;
}

int
recipients_verp(char const *sender)
{
	size_t n = strlen(sender);

	return n >= 4 && memcmp(sender + n - 4, "-@[]", 4) == 0;
}

static void
group_one(struct send *s, struct active *a, uint32_t i)
{
	struct recipient *r = &a->rcpt[i];
	char const *address = a->text.s + r->address;
	size_t n = strlen(address), at = smtpaddress_at(address, n);
	struct dest *d;
	struct job *j;

	while (!(d = dest_get(s, r->channel, r->channel == LOCAL ? address :
	    address + at + (at < n))))
		state_nomem();
	if (d->pace.frozen) {
		r->state = LATER;
		s->table.m[a->message].reason =
		    reasons_put("destination frozen by an administrator");
		dest_settle(s, d);
		return;
	}
	j = d->open;
	if (r->channel == LOCAL || !j || j->count >= GROUP ||
	    j->bytes + n + 32 > PACKET || recipients_verp(a->sender))
		j = new_job(a, d);
	d->open = j;
	if (j->last == TABLE_NONE)
		j->first = i;
	else
		a->rcpt[j->last].next = i;
	j->last = i;
	j->count++;
	j->bytes += n + 32;	/* its number's */
}

static int
is_wanted(struct active const *a, uint32_t i, int channel)
{
	return a->rcpt[i].state == TO_DO && a->rcpt[i].channel == channel;
}

int
recipients_group(struct send *s, struct active *a, int channel)
{
	struct lane *l = &a->lane[channel];
	uint32_t i, n = 0;

	for (i = 0; i < a->rcpts; i++)
		n += is_wanted(a, i, channel);
	free(l->jobs);
	memset(l, 0, sizeof *l);
	while (n && !(l->jobs = calloc(n, sizeof *l->jobs)))
		state_nomem();
	for (i = 0; i < a->rcpts; i++)
		if (is_wanted(a, i, channel))
			group_one(s, a, i);
	for (i = 0; i < l->end; i++)
		l->jobs[i].dest->open = 0;
	return l->end != 0;
}
