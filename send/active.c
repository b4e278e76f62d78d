#include "send/active.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/job.h"
#include "lib/limits.h"
#include "send/bouncer.h"
#include "send/command.h"
#include "send/dest.h"
#include "send/line.h"
#include "send/outcome.h"
#include "send/recipients.h"
#include "send/wish.h"

enum {
	/* room for offsets in a packet */
	PACKET = LIMIT_PACKET - 4096,
	/* when to bounce although deliveries go on */
	FAILURES = 100,
	MARK_DELAY = 200,	/* ms: most messages end sooner */
	FEW = 1000,		/* recipients: no client of smtpd's has more */
	CROWD = 200000,		/* of all messages that have more */
	CROWD_DELAY = 30,	/* s, until there may be room */
	TROUBLE_DELAY = 60	/* s, after a file could not be read */
};

void
active_ask(struct send *s, char kind, uint32_t message, char const *rest,
    size_t n)
{
	struct message *m = &s->table.m[message];

	while (marks_ask(&s->marks, kind, message, m->id, rest, n, s->ticket)
	    == -1)
		state_nomem();
	s->ticket = 0;
	m->marks++;
	if (kind == 'R' || kind == 'B')
		m->state = TABLE_LEAVING;
}

static void
set_aside(struct send *s, uint32_t message, char const *why)
{
	line_put("alert: msg ");
	line_number(s->table.m[message].id);
	line_put(" is damaged and set aside in bad/: ");
	line_put(why);
	line_end();
	active_ask(s, 'B', message, why, strlen(why) + 1);
}

/* The file cannot be read at the moment. */
static void
trouble(struct send *s, uint32_t message, int e)
{
	static uint64_t logged;
	struct message *m = &s->table.m[message];

	if (e == ENOENT) {	/* removed, by us or by an administrator */
		table_gone(&s->table, message);
		return;
	}
	/* a broken disk would say it of each message */
	if (!logged || s->now - logged >= 60000) {
		logged = s->now;
		line_put("warning: unable to read msg ");
		line_number(m->id);
		line_put(", will try again later");
		line_errno(e);
		line_end();
	}
	m->next[LOCAL] = m->next[REMOTE] = SECONDS(s) + TROUBLE_DELAY;
	table_wait(&s->table, message);
}

static struct active *
new_active(struct send *s, uint32_t message)
{
	struct active *a;

	while (!(a = calloc(1, sizeof *a)))
		state_nomem();
	a->message = message;
	a->id = s->table.m[message].id;
	a->fd = -1;
	a->after = s->actives;
	if (s->actives)
		s->actives->before = a;
	s->actives = a;
	s->nactive++;
	s->nstill++;
	s->table.m[message].state = TABLE_ACTIVE;
	return a;
}

void
active_free(struct send *s, struct active *a)
{
	int c;

	active_cancel(s, a);
	if (a->running)
		return;		/* cannot be: settle waits for them */
	if (a->before)
		a->before->after = a->after;
	else
		s->actives = a->after;
	if (a->after)
		a->after->before = a->before;
	s->nactive--;
	s->nstill--;
	if (a->crowd)
		s->crowd -= a->rcpts;
	if (a->fd != -1)
		close(a->fd);
	stralloc_free(&a->envelope);
	stralloc_free(&a->text);
	stralloc_free(&a->failures);
	stralloc_free(&a->delays);
	for (c = 0; c < CHANNELS; c++)
		free(a->lane[c].jobs);
	free(a->rcpt);
	free(a);
}

/* Is it the file itself that does not let us in?  If a directory does, or
 * something that owner and mode do not show, the whole queue may be concerned:
 * then it waits.
 */
static int
locked(struct send *s, char const *path, char *why, size_t max)
{
	struct stat st;

	if (fstatat(s->queue, path, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    st.st_mode & S_IROTH ||
	    (st.st_mode & S_IRGRP && st.st_gid == getegid()))
		return 0;
	snprintf(why, max, "not for send to read: uid %lu, gid %lu, mode %o",
	    (unsigned long)st.st_uid, (unsigned long)st.st_gid,
	    (unsigned int)st.st_mode & 07777);
	return 1;
}

/* 1 read; 0 dealt with. */
static int
read_file(struct send *s, struct active *a, struct msgfile *m)
{
	char path[MSGFILE_PATH], shut[96];
	char const *why = "a symbolic link";
	int r = -1;

	msgfile_path(path, a->id);
	a->fd = openat(s->queue, path,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (a->fd != -1)
		r = msgfile_read(a->fd, m, &a->envelope, &why);
	else if (errno == ELOOP)
		r = 0;
	else if (errno == ENXIO) {
		why = "not a regular file";
		r = 0;
	} else if (errno == EACCES && locked(s, path, shut, sizeof shut)) {
		why = shut;
		r = 0;
	}
	if (r == 0)
		set_aside(s, a->message, why);
	if (r == -1)
		trouble(s, a->message, errno);
	return r == 1;
}

static void
log_new(struct active const *a, uint64_t bytes, struct origin const *o)
{
	line_put("new msg ");
	line_number(a->id);
	line_end();
	line_put("info msg ");
	line_number(a->id);
	line_put(": bytes ");
	line_number(bytes);
	line_put(" from <");
	line_text(a->sender, strlen(a->sender));
	line_put("> qp ");
	line_text(o->qp, strlen(o->qp));
	line_put(" uid ");
	line_text(o->uid, strlen(o->uid));
	line_end();
}

/* A try at a channel is over: when the next one is.  What failed may come back:
 * its bounce may not be queued.
 */
static void
plan(struct send *s, struct active *a, int c)
{
	struct message *m = &s->table.m[a->message];
	enum { TRIED = 1, UNTRIED = 2 };
	int left = 0;
	uint32_t i;

	for (i = 0; i < a->rcpts; i++)
		if (a->rcpt[i].channel == c && a->rcpt[i].state < DONE)
			left |= a->rcpt[i].state == TO_DO ? UNTRIED : TRIED;
	if (!left)
		m->next[c] = TABLE_NEVER;
	else if (a->due[c] || left & UNTRIED)
		/* we were stopped: what did not start is due */
		m->next[c] = SECONDS(s) + (a->again[c] || left & UNTRIED ? 0 :
		    schedule_delay(&s->schedule, 0, state_age(s, a->birth),
		    s->channel[c].skip));
	else if (a->again[c])
		m->next[c] = 0;
	a->due[c] = a->again[c] = 0;
}

void
active_park(struct send *s, struct active *a)
{
	struct message *m = &s->table.m[a->message];
	int c;

	for (c = 0; c < CHANNELS; c++)
		if (a->lane[c].end)
			dest_park(s, a->lane[c].jobs->dest, a->message);
		else
			plan(s, a, c);
	if (table_due(m) < TABLE_IN_LINE)
		table_wait(&s->table, a->message);
	else
		m->state = TABLE_PARKED;
	active_free(s, a);
}

/* Into the heap, as soon as queued has answered all marks. */
static void
reschedule(struct send *s, struct active *a)
{
	struct message *m = &s->table.m[a->message];
	int c;

	for (c = 0; c < CHANNELS; c++)
		plan(s, a, c);
	m->state = TABLE_MARKING;
	if (!m->marks)
		table_wait(&s->table, a->message);
}

/* ticket: who waits for all of it, answered with the last request. */
static void
mark(struct send *s, struct active *a, uint64_t ticket)
{
	stralloc offsets = STRALLOC_ZERO;
	uint32_t i;

	for (i = 0; i < a->rcpts && a->unmarked; i++) {
		if (a->rcpt[i].state != DONE)
			continue;
		while (job_number(&offsets, a->rcpt[i].at) == -1)
			state_nomem();
		a->rcpt[i].state = MARKED;
		a->unmarked--;
		if (offsets.len > PACKET || !a->unmarked) {
			s->ticket = a->unmarked ? 0 : ticket;
			active_ask(s, 'D', a->message, offsets.s, offsets.len);
			offsets.len = 0;
		}
	}
	stralloc_free(&offsets);
}

void
active_mark_all(struct send *s)
{
	struct active *a;

	s->mark_at = 0;
	for (a = s->actives; a; a = a->after)
		mark(s, a, 0);
}

/* The message stays: held, or until its next try. */
static void
keep(struct send *s, struct active *a)
{
	struct message *m = &s->table.m[a->message];

	mark(s, a, a->wish == WISH_HOLD ? 0 : a->ticket);
	if (a->wish == WISH_HOLD) {
		s->ticket = a->ticket;
		active_ask(s, 'H', a->message, "H", 2);
	}
	if (a->wish == WISH_HOLD || a->held)
		m->state = TABLE_HELD;
	else
		reschedule(s, a);
}

/* Why nothing has come of an order, as an errno; 0: something has. */
static int
came_to_nothing(struct active const *a, uint32_t left)
{
	if (a->damaged)
		return EBADMSG;
	if (a->unbounced)
		return EAGAIN;
	return a->granted || (a->wish < WISH_BOUNCE && left) ? 0 : EALREADY;
}

static void
finish(struct send *s, struct active *a)
{
	uint32_t i, left = 0, message = a->message;
	int e;

	for (i = 0; i < a->rcpts; i++)
		left += a->rcpt[i].state < DONE;
	e = came_to_nothing(a, left);
	if (a->ticket && e) {
		command_answer(s, a->ticket, a->id, e);
		a->ticket = 0;
	}
	s->ticket = a->ticket;
	if (a->damaged)
		set_aside(s, message, a->damaged);
	else if (!left || a->wish == WISH_DELETE)
		active_ask(s, 'R', message, 0, 0);
	else
		keep(s, a);
	/* all is asked already, and will have been done when this is */
	if (a->ticket && s->ticket)
		active_ask(s, 'D', message, 0, 0);
	s->ticket = 0;
	active_free(s, a);
}

static void
what_is_due(struct send *s, struct active *a)
{
	struct message const *m = &s->table.m[a->message];
	int c;

	for (c = 0; c < CHANNELS; c++)
		a->due[c] = m->next[c] <= SECONDS(s) ||
		    m->next[c] >= TABLE_IN_LINE;
}

/* Is it the time to tell its sender that it is late?  Lists and bounces have
 * nobody who would like to know.
 */
static int
must_warn(struct send *s, struct active *a)
{
	size_t n = strlen(a->sender);

	return s->delaynotice && n && !recipients_verp(a->sender) &&
	    strcmp(a->sender, "#@[]") != 0 && !a->dying &&
	    !(s->table.m[a->message].flags & TABLE_WARNED) &&
	    state_age(s, a->birth) >= s->delaynotice;
}

int
active_read(struct send *s, uint32_t message, struct active **out)
{
	struct active *a = new_active(s, message);
	struct message *m = &s->table.m[message];
	struct origin o = { "", "" };
	struct msgfile f;

	if (!read_file(s, a, &f)) {
		active_free(s, a);
		return 0;
	}
	a->birth = f.birth;
	a->dying = state_age(s, a->birth) > s->lifetime;
	what_is_due(s, a);
	recipients_read(s, a, &o);
	if (!(m->flags & TABLE_KNOWN))
		log_new(a, f.body, &o);
	m->flags |= TABLE_KNOWN;
	m->flags &= ~TABLE_LOOK;
	a->warn = must_warn(s, a);
	*out = a;
	return 1;
}

/* Recipients take memory, and an envelope may have a million: one message of
 * more than FEW may be active, whatever it has, but others beside it only up to
 * CROWD of them together.  1; 0 it is to be tried later.
 */
static int
join_crowd(struct send *s, struct active *a)
{
	struct message *m = &s->table.m[a->message];
	int c;

	if (a->rcpts <= FEW)
		return 1;
	if (!s->crowd || s->crowd + a->rcpts <= CROWD) {
		s->crowd += a->rcpts;
		a->crowd = 1;
		return 1;
	}
	for (c = 0; c < CHANNELS; c++)
		if (m->next[c] < TABLE_IN_LINE && a->due[c])
			m->next[c] = SECONDS(s) + CROWD_DELAY;
	table_wait(&s->table, a->message);
	return 0;
}

int
active_open(struct send *s, uint32_t message, struct active **out)
{
	struct active *a;

	if (!active_read(s, message, &a))
		return 0;
	if (a->held) {
		s->table.m[message].state = TABLE_HELD;
		active_free(s, a);
		return 0;
	}
	if (!join_crowd(s, a)) {
		active_free(s, a);
		return 0;
	}
	if (!(recipients_group(s, a, LOCAL) | recipients_group(s, a, REMOTE))) {
		finish(s, a);
		return 0;
	}
	*out = a;
	return 1;
}

void
active_cancel(struct send *s, struct active *a)
{
	struct lane *l;
	struct job *j;

	for (l = a->lane; l < a->lane + CHANNELS; l++) {
		for (j = l->jobs; j < l->jobs + l->end; j++) {
			if (j->state != JOB_NEW && j->state != JOB_WAITS)
				continue;
			if (j->state == JOB_WAITS)
				dest_cancel(j->dest, a);
			j->state = JOB_ENDED;
			j->dest->users--;
			dest_settle(s, j->dest);
		}
		l->waiting = l->ahead = 0;
		l->cursor = l->end;
	}
}

static int
is_busy(struct lane const *l)
{
	return l->running || l->waiting || l->cursor < l->end;
}

/* Does its next try at a channel begin, whatever it waits for at the other?
 * 1; 0 later: then we look again.
 */
static int
is_time(struct send *s, struct active *a, int c)
{
	uint32_t const *next = &s->table.m[a->message].next[c];
	uint64_t at;

	if (a->wish || a->damaged || s->exiting || is_busy(&a->lane[c]))
		return 0;
	if (a->due[c] || a->again[c])
		plan(s, a, c);
	if (a->named[c] || *next <= SECONDS(s))
		return 1;
	at = (uint64_t)*next * 1000;
	if (*next < TABLE_IN_LINE && (!s->retry_at || at < s->retry_at))
		s->retry_at = at;
	return 0;
}

static void
try_again(struct send *s, struct active *a, int c)
{
	int all = s->table.m[a->message].next[c] <= SECONDS(s);

	if (all) {
		a->due[c] = 1;
		a->dying = state_age(s, a->birth) > s->lifetime;
		a->warn = must_warn(s, a);
	}
	if (wish_start(s, a, c, all) == 0)
		is_time(s, a, c);
}

/* over: a try has come to its end, of all of it or at one channel. */
static void
tell_sender(struct send *s, struct active *a, int over)
{
	if (a->bouncing || a->damaged)
		return;
	if (a->failed && (over || a->failed > FAILURES ||
	    a->failures.len > OUTCOME_BYTES))
		bouncer_ask(s, a);
	/* but where an administrator wants something else, it is no delay */
	if (a->delayed && !a->wish && !a->failed && !a->bouncing && over)
		bouncer_warn(s, a);
}

void
active_settle(struct send *s, struct active *a)
{
	int c, busy, over, now[CHANNELS];

	busy = is_busy(&a->lane[LOCAL]) || is_busy(&a->lane[REMOTE]);
	over = !busy;
	for (c = 0; c < CHANNELS; c++)
		over |= now[c] = busy && is_time(s, a, c);
	if (!busy && !a->bouncing && !a->damaged)
		wish_grant(a);
	tell_sender(s, a, over);
	if (!busy && !a->bouncing) {
		if (!(wish_start(s, a, LOCAL, 0) |
		    wish_start(s, a, REMOTE, 0))) {
			finish(s, a);
			return;
		}
		for (c = 0; c < CHANNELS; c++)
			now[c] = is_time(s, a, c);
	}
	for (c = 0; c < CHANNELS; c++)
		if (now[c] && !a->bouncing)
			try_again(s, a, c);
	if (a->unmarked && !s->mark_at)
		s->mark_at = s->now + MARK_DELAY;
}

void
active_settle_all(struct send *s)
{
	struct active *a, *after;

	s->retry_at = 0;
	for (a = s->actives; a; a = after) {
		after = a->after;
		active_settle(s, a);
	}
}
