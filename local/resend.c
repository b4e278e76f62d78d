#include "local/resend.h"

#include "lib/enqueue.h"
#include "lib/home.h"

/* "451 text" as qmail-local puts it. */
static int
failed(struct delivery *d, enqueue const *q)
{
	char const *reply = enqueue_reply(q);
	char letter = *reply == '5' ? 'D' : 'Z';

	if (reply[0] && reply[1] && reply[2] && reply[3])
		reply += 4;
	return outcome_set(&d->outcome, letter, (char const *const [])
	    { "Unable to forward message: ", reply, ".\n", 0 });
}

static int
put_message(struct delivery *d, enqueue *q)
{
	char const *s;
	size_t n;
	uint64_t pos = 0;
	int r;

	enqueue_put(q, d->dtline.s, d->dtline.len);
	while ((r = body_bytes(d->body, &pos, &s, &n)) == 1)
		enqueue_put(q, s, n);
	return r;
}

int
resend(struct delivery *d)
{
	static enqueue q;
	stralloc env = STRALLOC_ZERO;
	int r = -1;

	if (home_enter() == -1)
		return outcome_errno(&d->outcome, "switch to", home_path());
	if (!stralloc_cats(&env, "F") ||
	    !stralloc_cat(&env, &d->new_sender) || !stralloc_0(&env) ||
	    !stralloc_cat(&env, &d->forwards))
		outcome_errno(&d->outcome, "forward message", "");
	else if (enqueue_open(&q) == -1)
		failed(d, &q);
	else if (put_message(d, &q) == -1) {
		outcome_errno(&d->outcome, "read message", "");
		enqueue_abort(&q);
	} else if (enqueue_close(&q, &env) != QUEUE_OK)
		failed(d, &q);
	else {
		d->queued_by = q.pid;
		r = 1;
	}
	stralloc_free(&env);
	return r;
}
