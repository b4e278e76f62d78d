#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "tools/logevent.h"
#include "tools/logtime.h"
#include "tools/logwalk.h"
#include "tools/tally.h"
#include "tools/timeline.h"

#define USAGE "trace [-j] [-l log] id | address | session"

char const *PROG = "trace";

enum {
	MOST = 2000,		/* messages, sessions */
	RUNNING = 65536,	/* deliveries whose end has not been read */
	PASSES = 6,
	NEAR = 60000000		/* a process queues for another: in so long */
};

/* How far the search has come: what belongs to the question. */
static struct {
	char const *dir;
	char const *what;	/* the question */
	size_t whatlen;
	uint64_t id;		/* if it is a number */
	int address;		/* it has an '@' */
	struct tally ids;	/* count[1]: "its session is known" */
	struct tally sessions;	/* count[1]: all of it belongs to us */
	struct tally senders;
	struct tally children;	/* pid; count[0]: when it queued for us */
	struct tally running;	/* delivery; count[0]: id */
	struct tally pids;	/* of servers; count[0]: group */
	struct timeline line;
	int collecting;
	int truncated;
} find;

static void
die_memory(void)
{
	strerr_dief1x(EXIT_TEMP, "out of memory");
}

static struct tally_entry *
number_get(struct tally const *t, uint64_t u)
{
	return tally_get(t, (char const *)&u, sizeof u);
}

static struct tally_entry *
put(struct tally *t, char const *s, size_t n)
{
	struct tally_entry *e = tally_put(t, s, n);

	if (!e)
		find.truncated = 1;
	return e;
}

static struct tally_entry *
number_put(struct tally *t, uint64_t u)
{
	return put(t, (char const *)&u, sizeof u);
}

/* Is it the address that was asked for?  As it stands in the log, or behind
 * what virtualdomains has put in front.
 */
static int
is_address(struct logtext const *t, int routed)
{
	char s[TALLY_NAME * 4];
	size_t n = logevent_plain(s, sizeof s, t);

	if (n < find.whatlen)
		return 0;
	if (strncasecmp(s + n - find.whatlen, find.what, find.whatlen) != 0)
		return 0;
	return n == find.whatlen ||
	    (routed && s[n - find.whatlen - 1] == '-');
}

static int
is_about(struct logevent const *e)
{
	if (!find.address)
		return 0;
	return (e->from.n && is_address(&e->from, 0)) ||
	    (e->to.n && is_address(&e->to, e->kind == LOGEVENT_START)) ||
	    (e->user.n && e->kind != LOGEVENT_LOGIN &&
	    is_address(&e->user, 0));
}

static int
has_session(struct logevent const *e)
{
	return e->session.n &&
	    tally_get(&find.sessions, e->session.s, e->session.n);
}

/* ---- finding: once more as long as something new turns up */

static void
learn_queued(uint64_t us, struct logevent const *e)
{
	struct tally_entry *s = e->session.n ?
	    tally_get(&find.sessions, e->session.s, e->session.n) : 0;
	struct tally_entry *child = number_get(&find.children, e->pid);

	if ((s && s->count[1]) || (child && us + NEAR > child->count[0] &&
	    us < child->count[0] + NEAR))
		number_put(&find.ids, e->id);
	if (!number_get(&find.ids, e->id))
		return;
	if (e->session.n)
		put(&find.sessions, e->session.s, e->session.n);
	put(&find.senders, e->from.s, e->from.n);
}

/* A bounce, or "did_0+1+0/qp_4711/": that process queued another message.
 * Where the line names the message, nothing else that the process queues is
 * ours: one process makes the bounces of many.
 */
static void
learn_child(uint64_t us, struct logevent const *e)
{
	char const *s = e->text.n ? memmem(e->text.s, e->text.n, "qp", 2) : 0;
	struct tally_entry *c;
	uint64_t pid = e->pid;

	if (e->number && e->kind != LOGEVENT_DONE) {
		number_put(&find.ids, e->number);
		return;
	}
	if (s && e->kind == LOGEVENT_DONE) {
		char const *end = e->text.s + e->text.n;

		for (s += 2; s < end && (*s == '_' || *s == ' '); s++)
			;
		for (; s < end && *s >= '0' && *s <= '9'; s++)
			pid = pid * 10 + (uint64_t)(*s - '0');
	}
	c = pid ? number_put(&find.children, pid) : 0;
	if (c)
		c->count[0] = us;
}

static void
learn(uint64_t us, struct logevent const *e)
{
	if (is_about(e)) {
		if (e->id && (e->kind == LOGEVENT_QUEUED ||
		    e->kind == LOGEVENT_INFO || e->kind == LOGEVENT_START ||
		    e->kind == LOGEVENT_ACCEPTED))
			number_put(&find.ids, e->id);
		if (e->session.n)
			put(&find.sessions, e->session.s, e->session.n);
	}
	if (e->kind == LOGEVENT_QUEUED)
		learn_queued(us, e);
	if (e->kind == LOGEVENT_INFO && number_get(&find.ids, e->id))
		put(&find.senders, e->from.s, e->from.n);
}

/* Which message a line of send is about; 0 none of ours. */
static uint64_t
message_of(struct logevent const *e)
{
	struct tally_entry *r;
	uint64_t id = e->id;

	if (e->kind == LOGEVENT_START) {
		if (!number_get(&find.ids, id))
			id = 0;
		r = tally_put(&find.running, (char const *)&e->number,
		    sizeof e->number);
		if (r)
			r->count[0] = id;
	} else if (e->kind == LOGEVENT_DONE) {
		r = number_get(&find.running, e->number);
		id = r ? r->count[0] : 0;
		if (r)
			r->count[0] = 0;
	}
	return id && number_get(&find.ids, id) ? id : 0;
}

/* ---- collecting */

/* Of a session that brought other messages too: only what is about ours. */
static int
belongs(struct logevent const *e)
{
	struct tally_entry *s =
	    tally_get(&find.sessions, e->session.s, e->session.n);

	if (!s)
		return 0;
	if (s->count[1] || !e->has_from)
		return 1;
	if (e->id)
		return number_get(&find.ids, e->id) != 0;
	return is_about(e) || tally_get(&find.senders, e->from.s, e->from.n);
}

static void
collect(char const *log, uint64_t us, struct logevent const *e,
    uint64_t id, struct logtext const *all)
{
	struct tally_entry *pid;
	int group = TIMELINE_NONE;

	if (has_session(e) && belongs(e)) {
		group = timeline_group(&find.line, &e->session);
		if (id || e->kind == LOGEVENT_QUEUED)
			timeline_join(&find.line, group, e->id);
		pid = e->kind == LOGEVENT_CONNECT ?
		    number_put(&find.pids, e->pid) : 0;
		if (pid)
			pid->count[0] = (uint64_t)group + 1;
	} else if (e->kind == LOGEVENT_CLOSE) {
		pid = number_get(&find.pids, e->pid);
		if (pid && pid->count[0]) {
			group = (int)pid->count[0] - 1;
			pid->count[0] = 0;	/* it may be used again */
		}
	} else if (id) {
		group = TIMELINE_LATER;
	}
	if (group == TIMELINE_NONE)
		return;
	if (timeline_add(&find.line, group, log, us, e, id, all) == -1)
		die_memory();
}

static int
line(void *ctx, char const *log, uint64_t us, char const *s, size_t n)
{
	struct logtext const all = { s, n };
	struct logevent e;
	uint64_t id;

	(void)ctx;
	logevent_parse(s, n, &e);
	id = message_of(&e);
	if (find.collecting) {
		collect(log, us, &e, id, &all);
		return 1;
	}
	learn(us, &e);
	if (id && (e.kind == LOGEVENT_DONE || e.kind == LOGEVENT_BOUNCE ||
	    e.kind == LOGEVENT_DELAYED))
		learn_child(us, &e);
	return 1;
}

static void
read_logs(void)
{
	struct logwalk const w = { line, 0, 0 };

	switch (logwalk_all(&w, find.dir)) {
	case 0: strerr_dief2x(EXIT_TEMP, "no logs in ", find.dir);
	case -1: strerr_diefu2sys(EXIT_TEMP, "read ", find.dir);
	}
	find.running.n = 0;
	memset(find.running.slot, 0,
	    find.running.slots * sizeof *find.running.slot);
}

static size_t
known(void)
{
	return find.ids.n + find.sessions.n + find.children.n;
}

static void
search(void)
{
	unsigned int passes = 0;
	size_t before;

	do {
		before = known();
		read_logs();
	} while (known() != before && ++passes < PASSES);
	find.collecting = 1;
	if (find.ids.n || find.sessions.n)
		read_logs();
}

static void
ask(char const *what)
{
	struct tally_entry *s;

	if (tally_init(&find.ids, MOST) == -1 ||
	    tally_init(&find.sessions, MOST) == -1 ||
	    tally_init(&find.senders, MOST) == -1 ||
	    tally_init(&find.children, MOST) == -1 ||
	    tally_init(&find.pids, MOST) == -1 ||
	    tally_init(&find.running, RUNNING) == -1)
		die_memory();
	find.ids.keep = find.sessions.keep = find.senders.keep = 1;
	find.children.keep = find.pids.keep = 1;
	find.what = what;
	find.whatlen = strlen(what);
	if (strchr(what, '@')) {
		find.address = 1;
		return;
	}
	if (uint640_scan(what, &find.id)) {
		number_put(&find.ids, find.id);
		return;
	}
	s = put(&find.sessions, what, find.whatlen);
	if (s)
		s->count[1] = 1;
}

/* Follows a message through the logs, from its connection to its last
 * delivery.
 *
 * Runs as: its caller; root becomes the user of popup with the group of log
 * Reads:   the logs, and after it has opened nothing else, nothing else
 * Writes:  standard output
 * Trusts:  nobody: what stands in a log came from the network
 * Trusted by: the administrator's terminal, which sees no raw byte
 */
int
main(int argc, char const *const *argv)
{
	subgetopt l = SUBGETOPT_ZERO;
	struct logtime zone;
	int opt, json = 0;

	find.dir = "log";
	while ((opt = subgetopt_r(argc, argv, "jl:", &l)) != -1)
		switch (opt) {
		case 'j': json = 1; break;
		case 'l': find.dir = l.arg; break;
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	if (argc - l.ind != 1 || !*argv[l.ind])
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (*find.dir != '/' && home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	ask(argv[l.ind]);
	logtime_init(&zone);
	if (logwalk_confine(find.dir, !strcmp(find.dir, "log")) == -1)
		strerr_diefu1sys(EXIT_TEMP, "give up rights");
	search();
	if (timeline_sort(&find.line) == -1)
		die_memory();
	if ((json ? timeline_json(&find.line, find.what) :
	    timeline_text(&find.line)) == -1)
		strerr_diefu1sys(EXIT_TEMP, "write");
	if (find.truncated || find.line.truncated)
		strerr_warnw1x("there is more: ask for less");
	if (!find.line.n) {
		strerr_warni3x("nothing about ", argv[l.ind],
		    " in the logs that are left");
		return EXIT_PERM;
	}
	return EXIT_DONE;
}
