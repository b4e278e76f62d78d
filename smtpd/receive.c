#include "smtpd/receive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/date822.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/message.h"
#include "lib/session.h"
#include "smtpd/data.h"

#define GO_AHEAD "354 go ahead"
#define MEMORY "421 4.3.0 out of memory (#4.3.0)"

/* The bytes a second below which a message that has taken longer than
 * timeoutsmtpd is given up: a client that drips must not hold us for ever. */
#define SLOWEST 100
/* How long we read on for the end of a message that is already refused for a
 * bare CR or LF: its sender may never send the end that we wait for. */
#define STRAY_WAIT 30

/* RFC 1035 2.3.4 */
#define NAME_MOST 255

/* Most Received lines: room for one is made at once. */
#define USUAL_LINE 384

static struct reply const stray_lf = {
	"554 5.6.0 bare LF in message: lines end in CR LF, see RFC 5321 2.3.8 "
	"(#5.6.0)", "bare_lf" };
static struct reply const stray_cr = {
	"554 5.6.0 bare CR in message: lines end in CR LF, see RFC 5321 2.3.8 "
	"(#5.6.0)", "bare_cr" };
static struct reply const too_big = {
	"552 5.3.4 sorry, that message size exceeds my databytes limit "
	"(#5.3.4)", "size" };
static struct reply const looping = {
	"554 5.4.6 too many hops, this message is looping (#5.4.6)", "hops" };

struct reception {
	struct dialogue *d;
	struct data data;
	uint64_t start;		/* when it began */
	uint64_t taken;		/* bytes read */
	int given_up;		/* nothing of it is with the queue any more */
};

/* Others choose these lengths, and a line has 998 bytes (RFC 5322 2.1.1). */
static int
put_name(stralloc *out, char const *before, char const *s, size_t n)
{
	if (!stralloc_cats(out, before))
		return -1;
	return message_safe(out, s, n < NAME_MOST ? n : NAME_MOST);
}

static int
put_string(stralloc *out, char const *before, char const *s)
{
	return put_name(out, before, s, strlen(s));
}

/* Who sent it: "from HOST (HELO NAME) (INFO@IP)", as qmail-smtpd writes it;
 * the name only where it differs from the host. */
static int
put_from(struct dialogue const *d, stralloc *out)
{
	struct client const *c = d->client;
	char const *host = c->host ? c->host : "unknown";
	char const *ip = c->ip ? c->ip : "unknown";

	if (put_string(out, "Received: from ", host) == -1)
		return -1;
	if (d->helo_len && (d->helo_len != strlen(host) ||
	    strncasecmp(d->helo, host, d->helo_len) != 0))
		if (put_name(out, " (HELO ", d->helo, d->helo_len) == -1 ||
		    !stralloc_append(out, ')'))
			return -1;
	if (c->info && (put_string(out, " (", c->info) == -1 ||
	    put_string(out, "@", ip) == -1))
		return -1;
	if (!c->info && put_string(out, " (", ip) == -1)
		return -1;
	return stralloc_append(out, ')') ? 1 : -1;
}

/* Who logged in, unless that is nobody else's business. */
static int
put_user(struct dialogue const *d, stralloc *out)
{
	if (!d->user.len || d->policy->hide_user)
		return 1;
	if (put_name(out, "\n  (authenticated as ", d->user.s, d->user.len) ==
	    -1 || !stralloc_append(out, ')'))
		return -1;
	return 1;
}

/* How: the keywords of RFC 3848, and in a comment what encrypts it. */
static int
put_protocol(struct dialogue const *d, stralloc *out)
{
	struct tls const *t = &d->tls;

	if (!stralloc_cats(out, d->hello == HELLO_ESMTP ?
	    " with ESMTP" : " with SMTP"))
		return -1;
	if (d->hello == HELLO_ESMTP && ((t->protocol &&
	    !stralloc_append(out, 'S')) || (d->user.len &&
	    !stralloc_append(out, 'A'))))
		return -1;
	if (!t->protocol)
		return 1;
	if (put_string(out, " (", t->protocol) == -1 ||
	    (t->cipher && put_string(out, " ", t->cipher) == -1) ||
	    !stralloc_append(out, ')'))
		return -1;
	return 1;
}

/* The whole line (RFC 5321 4.4, RFC 3848). */
static int
put_received(struct dialogue const *d, stralloc *out)
{
	char const *local = d->client->local_host;
	struct policy const *p = d->policy;
	char date[DATE822_LEN];
	size_t n = date822(date, d->back->time(d->back));

	if (!stralloc_ready(out, USUAL_LINE) ||
	    put_from(d, out) == -1 || put_user(d, out) == -1 || (local ?
	    put_string(out, "\n  by ", local) :
	    put_name(out, "\n  by ", p->greeting, p->name)) == -1 ||
	    put_protocol(d, out) == -1 ||
	    put_string(out, " id ", session_id()) == -1)
		return -1;
	return stralloc_cats(out, "; ") && stralloc_catb(out, date, n) &&
	    stralloc_append(out, '\n') ? 1 : -1;
}

/* Each recipient of the transaction has been refused. */
static int
log_refused(struct dialogue *d, char const *code, char const *reason)
{
	size_t pos = 0;
	int r;

	while ((r = dialogue_each(d, &pos)) == 1) {
		dialogue_log(d, "info", "refused");
		log_value("code", code, 3);
		log_string("reason", reason);
		log_end();
	}
	return r;
}

static int
log_accepted(struct dialogue *d, uint64_t size)
{
	size_t pos = 0;
	int r;

	while ((r = dialogue_each(d, &pos)) == 1) {
		dialogue_log(d, "info", "accepted");
		log_number("size", size);
		log_number("qp", d->back->pid);
		if (d->back->id)
			log_number("id", d->back->id);
		log_end();
	}
	return r;
}

/* The enhanced code of this class that stands in s as "(#x.y.z)", or 0. */
static char const *
enhanced(char const *s, char class)
{
	char const *p = strstr(s, "(#");
	size_t n;

	if (!p)
		return 0;
	p += 2;
	n = strspn(p, "0123456789.");
	return n >= 5 && n <= 9 && *p == class && p[1] == '.' && p[n] == ')' ?
	    p : 0;
}

/* The queue said no: its words, with an enhanced code in front. */
static int
queue_refused(struct dialogue *d)
{
	char text[400];
	char const *s = d->back->reply(d->back), *code = enhanced(s, *s);
	size_t i;

	if (code)
		snprintf(text, sizeof text, "%.3s %.*s %.300s", s,
		    (int)strcspn(code, ")"), code, s + 4);
	else
		snprintf(text, sizeof text, "%.3s %c.3.0 %.300s", s, *s, s + 4);
	for (i = 0; text[i]; i++)
		if (text[i] < 32 || text[i] > 126)
			text[i] = '?';
	if (log_refused(d, s, s + 4) == -1)
		return dialogue_say(d, MEMORY) == -1 ? -1 : 0;
	return dialogue_say(d, text);
}

static struct reply const *
verdict(struct reception const *m)
{
	unsigned long most = m->d->policy->databytes;

	if (m->data.stray)
		return m->data.stray == '\n' ? &stray_lf : &stray_cr;
	if (most && m->data.size > most)
		return &too_big;
	return m->data.hops >= LIMIT_HOPS ? &looping : 0;
}

static void
give_up(struct reception *m)
{
	if (!m->given_up)
		m->d->back->abort(m->d->back);
	m->given_up = 1;
}

static void
set_deadline(struct reception *m)
{
	io *i = m->d->io;
	unsigned int wait = m->d->policy->timeout;
	uint64_t whole = m->start + wait + m->taken / SLOWEST;

	if (m->data.stray && wait > STRAY_WAIT)
		wait = STRAY_WAIT;
	io_deadline(i, wait);
	if (i->deadline > whole)
		i->deadline = whole;
}

/* Up to the end of the message.  1, or what io_fill said. */
static int
take(struct reception *m)
{
	io *i = m->d->io;
	size_t len, used;
	int r;

	while (m->data.state != DATA_END) {
		set_deadline(m);
		r = io_fill(i);
		if (r != 1)
			return r;
		used = data_decode(&m->data, i->in_buf + i->head,
		    i->tail - i->head, &len);
		if (verdict(m))
			give_up(m);
		else
			m->d->back->put(m->d->back, i->in_buf + i->head, len);
		i->head += used;
		m->taken += used;
	}
	return 1;
}

static int
refuse(struct reception *m, struct reply const *why)
{
	struct dialogue *d = m->d;

	give_up(m);
	if (log_refused(d, why->text, why->reason) == -1)
		return dialogue_say(d, MEMORY) == -1 ? -1 : 0;
	if (dialogue_say(d, why->text) == -1)
		return -1;
	/* what follows might be commands smuggled in by its author */
	return !m->data.stray;
}

static int
finish(struct reception *m)
{
	struct dialogue *d = m->d;
	struct reply const *why = verdict(m);
	char text[100];

	if (why)
		return refuse(m, why);
	if (d->back->close(d->back, &d->envelope) != 1)
		return queue_refused(d);
	d->errors = d->idle = 0;
	snprintf(text, sizeof text, "250 2.0.0 ok %llu qp %lu",
	    (unsigned long long)d->back->time(d->back),
	    (unsigned long)d->back->pid);
	/* it is queued: whatever fails now, the client must hear of it */
	log_accepted(d, m->data.size);
	return dialogue_say(d, text);
}

int
receive_message(struct dialogue *d)
{
	struct reception m;
	stralloc line = STRALLOC_ZERO;
	int r;

	if (put_received(d, &line) == -1) {
		stralloc_free(&line);
		return dialogue_say(d, MEMORY) == -1 ? -1 : 0;
	}
	if (d->back->open(d->back) != 1) {
		stralloc_free(&line);
		return queue_refused(d);
	}
	d->back->put(d->back, line.s, line.len);
	stralloc_free(&line);
	m.d = d;
	m.start = d->io->now(d->io);
	m.taken = m.given_up = 0;
	data_init(&m.data);
	r = dialogue_say(d, GO_AHEAD);
	if (r == 1)
		r = take(&m);
	if (r == 1)
		return finish(&m);
	give_up(&m);
	if (r == -1 && errno == ETIMEDOUT && m.data.stray)
		return refuse(&m, verdict(&m));
	return dialogue_lost(d, r);
}
