#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/selfpipe.h>
#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "send/active.h"
#include "send/bouncer.h"
#include "send/command.h"
#include "send/deliver.h"
#include "send/dest.h"
#include "send/found.h"
#include "send/line.h"
#include "send/settings.h"
#include "send/state.h"

enum {
	FROM_LSPAWN = 3,	/* descriptors that start gives us */
	FROM_RSPAWN = 4,
	NEWS_LSPAWN = 5,
	NEWS_RSPAWN = 6,
	/* so much of each in one round of the loop: no work waits for all of
	 * another */
	OPEN = 16,
	ENTRIES = 256,
	ANSWERS = 64,
	PENDING = 10000,	/* marks, before no more messages are opened */
	MINUTE = 60000,
	GOODBYE = 10000		/* ms that the last marks may take */
};

struct service {
	struct send s;
	int signals;
	uint64_t away_at;	/* when to ask queued again; 0: it is there */
	uint64_t away_logged;
	uint64_t again_at;	/* when to repeat what queued could not do */
	uint64_t failed_logged;
	int stopping;
	uint64_t exit_by;
	uint64_t scan_logged;
	int lock;
	uint64_t saved;		/* when we noted what has been tried */
};

/* Has this not been logged for a minute? */
static int
once_a_minute(struct service *v, uint64_t *last)
{
	if (*last && v->s.now - *last < MINUTE)
		return 0;
	*last = v->s.now;
	return 1;
}

/* Since when what is in the queue may not have been tried. */
static uint64_t
untried(struct send const *s)
{
	uint64_t least = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < s->table.used; i++) {
		struct message const *m = &s->table.m[i];
		int new = m->state == TABLE_FRESH || m->state == TABLE_PARKED ||
		    m->state == TABLE_ACTIVE || ((m->state == TABLE_WAITING ||
		    m->state == TABLE_MARKING) &&
		    (table_due(m) <= SECONDS(s) ||
		    m->next[LOCAL] == TABLE_IN_LINE ||
		    m->next[REMOTE] == TABLE_IN_LINE));

		if (new && m->id < least)
			least = m->id;
	}
	return least / 1000000000;
}

static void
save_memory(struct service *v)
{
	v->saved = v->s.now;
	if (!scan_busy(&v->s.scan) || !v->s.scan.first)
		memory_save(v->lock, v->s.steady.wall, untried(&v->s));
}

static void
scan(struct service *v)
{
	if (scan_slice(&v->s.scan, ENTRIES, v->s.scan.first ? found_old :
	    found_later, &v->s) == -1 && once_a_minute(v, &v->scan_logged))
		line_warning("unable to read a directory of queue/mess", errno);
}

static int
room(struct send *s)
{
	return !s->exiting && deliver_room(s) &&
	    s->dests - s->idle < DEST_MOST &&
	    s->marks.pending < PENDING;
}

static int
some_channel_free(struct send const *s)
{
	int c;

	for (c = 0; c < CHANNELS; c++)
		if (deliver_free(&s->channel[c]))
			return 1;
	return 0;
}

/* New messages and those whose time has come, some of each.  1: there are
 * more that could be opened now.
 */
static int
open_messages(struct send *s)
{
	uint32_t i, n;

	for (n = 0; n < OPEN && s->fresh.first != TABLE_NONE && room(s); n++)
		if (table_unlist(&s->table, 0, &s->fresh, &i))
			deliver_message(s, i, 0);
		else
			s->retry_at = s->now;	/* as in dest_next_parked */
	for (n = 0; n < OPEN && room(s) && some_channel_free(s); n++) {
		i = table_first(&s->table);
		if (i == TABLE_NONE ||
		    table_due(&s->table.m[i]) > SECONDS(s))
			break;
		table_unwait(&s->table, i);
		deliver_message(s, i, 0);
	}
	return n == OPEN || (s->fresh.first != TABLE_NONE && room(s));
}

static void
removed(struct send *s, struct mark const *k)
{
	if (k->kind == 'R') {
		line_put("end msg ");
		line_number(s->table.m[k->message].id);
		line_end();
	}
	table_gone(&s->table, k->message);
}

/* queued answered. */
static void
marked(struct service *v, struct mark *k, int err)
{
	struct send *s = &v->s;
	struct message *m = &s->table.m[k->message];

	if (k->ticket)
		command_answer(s, k->ticket, k->id, err);
	k->ticket = 0;
	if (err && err != ENOENT && k->kind == 'B') {
		/* it stays, and we leave it alone until we are restarted */
		line_warning("queued is unable to set a message aside", err);
		if (m->state && m->id == k->id)
			m->marks--;
		free(k);
		return;
	}
	if (err && err != ENOENT) {
		if (once_a_minute(v, &v->failed_logged))
			line_warning("queued is unable to mark or remove a "
			    "message, will try again", err);
		marks_later(&s->marks, k);
		if (!v->again_at)
			v->again_at = s->now + MINUTE;
		return;
	}
	/* a message that was removed meanwhile has left its place */
	if (m->state && m->id == k->id) {
		m->marks--;
		if (k->kind == 'R' || k->kind == 'B')
			removed(s, k);
		else if (m->state == TABLE_MARKING && !m->marks)
			table_wait(&s->table, k->message);
	}
	free(k);
}

static void
queued_away(struct service *v)
{
	v->away_at = v->s.now + 1000;
	if (once_a_minute(v, &v->away_logged))
		line_warning("queued does not answer, will try again", errno);
}

static void
answers(struct service *v)
{
	struct mark *k;
	int i, r = 1, err;

	/* where nothing more is asked, what comes next is left to poll */
	for (i = 0; i < ANSWERS && r == 1 && (!i || v->s.marks.asked.head);
	    i++) {
		r = marks_answer(&v->s.marks, &k, &err);
		if (r == 1)
			marked(v, k, err);
	}
	if (r == -1)
		queued_away(v);
}

static void
ask_queued(struct service *v)
{
	struct send *s = &v->s;

	if (v->again_at && s->now >= v->again_at) {
		v->again_at = 0;
		marks_again(&s->marks);
	}
	if (v->away_at && s->now < v->away_at)
		return;
	v->away_at = 0;
	if (marks_send(&s->marks) == -1)
		queued_away(v);
}

static void
stop(struct service *v)
{
	struct active *a, *after;

	v->s.exiting = v->stopping = 1;
	deliver_status(&v->s);
	for (a = v->s.actives; a; a = after) {
		after = a->after;
		active_cancel(&v->s, a);
		active_settle(&v->s, a);
	}
}

/* What is under way, too: when it has ended. */
static void
retry_all(struct send *s)
{
	struct active *a;
	uint32_t i;

	scan_again(&s->scan);
	for (i = 0; i < s->table.used; i++) {
		struct message *m = &s->table.m[i];

		if (m->state == TABLE_MARKING)
			table_now(m);
		/* a hold may have ended while nobody told us */
		if (m->state == TABLE_HELD && !m->marks) {
			m->flags |= TABLE_LOOK;
			table_wait(&s->table, i);
		}
	}
	table_hurry(&s->table);
	for (a = s->actives; a; a = a->after)
		memset(a->again, 1, sizeof a->again);
	active_settle_all(s);
}

static void
signals(struct service *v)
{
	int c;

	while ((c = selfpipe_read()) > 0)
		switch (c) {
		case SIGTERM:
			stop(v);
			break;
		case SIGALRM:
			retry_all(&v->s);
			break;
		case SIGHUP:
			settings_reload(&v->s);
			break;
		case SIGCHLD:
			while (waitpid(-1, 0, WNOHANG) > 0)
				;
		}
}

enum { ON_SIGNAL, ON_TRIGGER, ON_SPAWNERS, ON_NEWS = ON_SPAWNERS + CHANNELS,
	ON_QUEUED = ON_NEWS + CHANNELS,
	ON_BOUNCERS, ON_COMMANDS = ON_BOUNCERS + BOUNCERS,
	FDS = ON_COMMANDS + COMMAND_FDS };

static void
fill(struct service *v, struct pollfd *p)
{
	struct send *s = &v->s;
	int i;

	for (i = 0; i < FDS; i++)
		p[i].events = POLLIN;
	p[ON_SIGNAL].fd = v->signals;
	p[ON_TRIGGER].fd = s->scan.trigger;
	for (i = 0; i < CHANNELS; i++) {
		p[ON_SPAWNERS + i].fd = s->channel[i].sock;
		if (s->channel[i].full)
			p[ON_SPAWNERS + i].events |= POLLOUT;
		p[ON_NEWS + i].fd = s->channel[i].sock == -1 ?
		    s->channel[i].news : -1;
	}
	p[ON_QUEUED].fd = s->marks.sock;
	/* answers make room for more requests */
	if (s->marks.todo.head && !s->marks.asked.head)
		p[ON_QUEUED].events |= POLLOUT;
	for (i = 0; i < BOUNCERS; i++)
		p[ON_BOUNCERS + i].fd = s->bouncer[i].sock;
	command_fill(p + ON_COMMANDS);
}

static void
earlier(uint64_t *when, uint64_t what)
{
	if (what && what < *when)
		*when = what;
}

/* How long poll may wait. */
static int
timeout(struct service *v, int more)
{
	struct send *s = &v->s;
	uint64_t when = s->now + MINUTE;
	uint32_t first = table_first(&s->table);

	if (more || scan_busy(&s->scan))
		return 0;
	if (first != TABLE_NONE && room(s) && some_channel_free(s))
		earlier(&when, (uint64_t)table_due(&s->table.m[first]) * 1000
		    + 1);
	earlier(&when, s->mark_at);
	earlier(&when, s->retry_at);
	earlier(&when, s->rate_at);
	earlier(&when, v->away_at);
	earlier(&when, v->again_at);
	earlier(&when, v->exit_by);
	return when > s->now ? when - s->now : 0;
}

static void
react(struct service *v, struct pollfd const *p)
{
	struct send *s = &v->s;
	int i;

	if (p[ON_SIGNAL].revents)
		signals(v);
	if (p[ON_TRIGGER].revents)
		scan_trigger(&s->scan, found_new, s);
	for (i = 0; i < CHANNELS; i++) {
		if (p[ON_SPAWNERS + i].revents & POLLOUT)
			s->channel[i].full = 0;
		if (p[ON_SPAWNERS + i].revents & ~POLLOUT)
			deliver_reports(s, i);
		if (p[ON_NEWS + i].revents)
			deliver_spawner(s, i);
	}
	if (p[ON_QUEUED].revents & ~POLLOUT)
		answers(v);
	for (i = 0; i < BOUNCERS; i++)
		if (p[ON_BOUNCERS + i].revents)
			bouncer_answer(s, &s->bouncer[i]);
	command_react(s, p + ON_COMMANDS);
	if (s->hurry)
		retry_all(s);
	s->hurry = 0;
}

/* One round of everything.  1: there is more to do at once. */
static int
work(struct service *v)
{
	struct send *s = &v->s;
	int c, more = 0;

	if (s->exiting && !v->stopping)
		stop(v);
	if (scan_busy(&s->scan) && !s->exiting)
		scan(v);
	dest_tick(s);
	if (s->retry_at && s->now >= s->retry_at)
		active_settle_all(s);
	more |= open_messages(s);
	for (c = 0; c < CHANNELS; c++)
		more |= deliver_turns(s, c);
	bouncer_run(s);
	if (s->mark_at && s->now >= s->mark_at)
		active_mark_all(s);
	ask_queued(v);
	if (s->now - v->saved >= MINUTE)
		save_memory(v);
	return more;
}

static int
finished(struct service *v)
{
	if (!v->s.exiting || v->s.nactive)
		return 0;
	if (!v->exit_by)
		v->exit_by = v->s.now + GOODBYE;
	return marks_idle(&v->s.marks) || v->s.now >= v->exit_by;
}

static void
loop(struct service *v)
{
	struct pollfd p[FDS];
	int more = 1;

	deliver_status(&v->s);
	while (!finished(v)) {
		line_flush(0);
		fill(v, p);
		if (poll(p, FDS, timeout(v, more)) == -1 && errno != EINTR)
			strerr_diefu1sys(EXIT_TEMP, "poll");
		v->s.now = clock_ms();
		state_clocks(&v->s);
		react(v, p);
		more = work(v);
	}
	save_memory(v);
	line_put("status: exiting");
	line_end();
	line_flush(1);
}

static void
init_send(struct send *s)
{
	s->now = clock_ms();
	state_clocks(s);
	s->channel[LOCAL].name = "local";
	s->channel[LOCAL].skip = SCHEDULE_LOCAL;
	s->channel[LOCAL].sock = FROM_LSPAWN;
	s->channel[LOCAL].news = NEWS_LSPAWN;
	s->channel[REMOTE].name = "remote";
	s->channel[REMOTE].skip = SCHEDULE_REMOTE;
	s->channel[REMOTE].sock = FROM_RSPAWN;
	s->channel[REMOTE].news = NEWS_RSPAWN;
	s->table.spare = s->fresh.first = TABLE_NONE;
	marks_init(&s->marks);
	bouncer_init(s);
	if (dest_init(s) == -1)
		strerr_diefu1sys(EXIT_TEMP, "allocate memory");
}

static void
open_files(struct service *v)
{
	struct send *s = &v->s;
	int fd;

	for (fd = FROM_LSPAWN; fd <= NEWS_RSPAWN; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
		    fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
			strerr_dief1x(EXIT_USAGE, "descriptors 3 to 6 must "
			    "be sockets of the spawners and start: "
			    "run by start");
	v->lock = memory_open("socket/send/lock");
	if (v->lock == -1)
		strerr_diefu1sys(EXIT_TEMP, "open socket/send/lock");
	if (flock(v->lock, LOCK_EX | LOCK_NB) == -1)
		strerr_diefu1sys(EXIT_TEMP, "lock socket/send/lock: "
		    "another send is running");
	memory_load(v->lock, s->steady.wall, &s->memory);
	s->queue = open("queue", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->queue == -1 || scan_open(&s->scan, s->queue) == -1)
		strerr_diefu1sys(EXIT_TEMP, "open queue/trigger");
	if (command_open() == -1)
		strerr_diefu1sys(EXIT_TEMP, "make socket/send/send");
}

/* Each active message has its file open. */
static void
raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int
catch_signals(void)
{
	int fd = selfpipe_init();

	if (fd == -1 || !selfpipe_trap(SIGTERM) || !selfpipe_trap(SIGALRM) ||
	    !selfpipe_trap(SIGHUP) || !selfpipe_trap(SIGCHLD) ||
	    !sig_ignore(SIGPIPE))
		strerr_diefu1sys(EXIT_TEMP, "catch signals");
	return fd;
}

/* send: schedules the queue.  It learns of each message, decides when and in
 * what order its recipients are tried, hands jobs to lspawn and rspawn, has
 * queued mark and remove what is done, and has failures bounced.  It never
 * writes to a file and never waits for a disk to sync.
 *
 * Runs as:    send, in the group of queue, started by start
 * Reads:      queue/mess, queue/trigger; control/concurrencylocal,
 *             concurrencyremote, queuelifetime, locals, virtualdomains,
 *             percenthack, envnoathost, me, destinations, frozen,
 *             retryschedule, delaynotice, bouncelimit
 * Writes:     nothing but the times of its lock file; asks queued
 * Trusts:     queued, the spawners' verdicts about what they deliver, and what
 *             root and queue's group order by socket/send/send
 * Trusted by: start
 */
int
main(void)
{
	static struct service v;

	PROG = "send";
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "chdir to ", home_path());
	raise_limits();
	init_send(&v.s);
	open_files(&v);
	if (settings_load(&v.s) == -1)
		strerr_diefu2sys(EXIT_TEMP, "read ", v.s.route.file);
	v.signals = catch_signals();
	loop(&v);
	return EXIT_DONE;
}
