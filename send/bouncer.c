#include "send/bouncer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/job.h"
#include "lib/limits.h"
#include "lib/packet.h"
#include "lib/spawn.h"
#include "send/active.h"
#include "send/line.h"

enum {
	IDLE = 30000,		/* ms, then it is let go */
	HOUR = 3600000,
	COUNTED = 1024		/* addresses, a power of 2 */
};

/* How many bounces an address has got this hour, by its hash.  Two that share
 * a place take it from one another, and are counted anew: the limit is a
 * brake, and none pays for what another gets.
 */
static struct {
	uint64_t since;
	uint32_t who, n;
} counted[COUNTED];

void
bouncer_init(struct send *s)
{
	int i;

	for (i = 0; i < BOUNCERS; i++)
		s->bouncer[i].sock = -1;
	s->bounces = 0;
	s->bounces_end = &s->bounces;
}

/* The first n failures have got their verdict. */
static void
settle_failures(struct active *a, uint32_t n, int state)
{
	size_t pos = 0;
	uint64_t i;

	a->failed -= n;
	for (; n; n--) {
		if (!job_field_number(a->failures.s, a->failures.len, &pos,
		    &i))
			break;
		job_field(a->failures.s, a->failures.len, &pos);
		job_field(a->failures.s, a->failures.len, &pos);
		a->rcpt[i].state = state;
		a->unmarked += state == DONE;
	}
	a->failures.len -= pos;
	memmove(a->failures.s, a->failures.s + pos, a->failures.len);
}

static int
too_many(struct send *s, char const *to)
{
	uint32_t who = 5381, h;

	for (; *to; to++)
		who = who * 33 ^ (unsigned char)*to;
	h = who * 0x9e3779b9u >> 22;
	if (!s->bouncelimit)
		return 0;
	if (!counted[h].n || counted[h].who != who ||
	    s->now - counted[h].since > HOUR) {
		counted[h].since = s->now;
		counted[h].who = who;
		counted[h].n = 0;
	}
	return ++counted[h].n > s->bouncelimit;
}

static void
stand_in_line(struct send *s, struct active *a)
{
	a->bouncing = 1;
	a->bounce_next = 0;
	*s->bounces_end = a;
	s->bounces_end = &a->bounce_next;
}

void
bouncer_warn(struct send *s, struct active *a)
{
	a->until = a->birth / 1000000 + s->lifetime;
	stand_in_line(s, a);
}

void
bouncer_ask(struct send *s, struct active *a)
{
	if (strcmp(a->sender, "#@[]") == 0) {
		line_put("triple bounce: discarding bounce/");
		line_number(a->id);
		line_end();
		settle_failures(a, a->failed, DONE);
		return;
	}
	if (too_many(s, a->sender)) {
		line_put("warning: more than control/bouncelimit bounces to "
		    "one address in an hour: discarding bounce/");
		line_number(a->id);
		line_put(" to <");
		line_text(a->sender, strlen(a->sender));
		line_put(">");
		line_end();
		settle_failures(a, a->failed, DONE);
		return;
	}
	stand_in_line(s, a);
}

/* As many failures, or delays, as a packet takes; a->given says how many. */
static int
build(struct active *a, stralloc *out)
{
	stralloc const *from = a->until ? &a->delays : &a->failures;
	uint32_t all = a->until ? a->delayed : a->failed;
	size_t pos = 0;

	out->len = 0;
	a->given = 0;
	if (job_number(out, a->id) == -1 || job_number(out, a->birth) == -1 ||
	    job_number(out, a->until) == -1 ||
	    job_puts(out, a->sender) == -1)
		return -1;
	while (a->given < all) {
		char const *to, *report;
		size_t len = out->len;

		job_field(from->s, from->len, &pos);
		to = job_field(from->s, from->len, &pos);
		report = job_field(from->s, from->len, &pos);
		if (job_puts(out, to) == -1 || job_puts(out, report) == -1)
			return -1;
		if (out->len > LIMIT_PACKET) {
			out->len = len;
			break;
		}
		a->given++;
	}
	return 1;
}

static int
launch(struct bouncer *b)
{
	static char const *const argv[] = { "bin/bounce", 0 };
	extern char **environ;
	struct spawn_fd fd = { -1, 0 };
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	fd.from = pair[1];
	pid = spawn(argv, (char const *const *)environ, &fd, 1);
	close(pair[1]);
	if (pid == -1 || fcntl(pair[0], F_SETFL, O_NONBLOCK) == -1) {
		close(pair[0]);
		return -1;
	}
	b->sock = pair[0];
	return 1;
}

static struct bouncer *
idle_one(struct send *s)
{
	struct bouncer *b, *unused = 0;

	for (b = s->bouncer; b < s->bouncer + BOUNCERS; b++) {
		if (b->sock != -1 && !b->serves)
			return b;
		if (b->sock == -1)
			unused = b;
	}
	if (unused && launch(unused) == -1) {
		line_warning("unable to start bin/bounce", errno);
		unused->sock = -1;
		return 0;
	}
	return unused;
}

/* The failures that were given: bounced (DONE), or to be tried again. */
static void
verdict(struct send *s, struct active *a, int state)
{
	if (a->until) {
		if (state == DONE) {
			s->table.m[a->message].flags |= TABLE_WARNED;
			a->warn = 0;
		}
		a->until = 0;
		a->delayed = a->delays.len = 0;
		a->bouncing = 0;
		active_settle(s, a);
		return;
	}
	if (state == LATER) {
		line_put("warning: trouble injecting bounce message, "
		    "will try later");
		line_end();
		/* nor will those behind them fare better now */
		a->given = a->failed;
		a->unbounced = a->wish == WISH_BOUNCE;
	}
	settle_failures(a, a->given, state);
	a->bouncing = 0;
	a->given = 0;
	active_settle(s, a);
}

static void
end_one(struct bouncer *b)
{
	close(b->sock);
	b->sock = -1;
	b->serves = 0;
}

void
bouncer_run(struct send *s)
{
	static stralloc packet = STRALLOC_ZERO;
	struct bouncer *b;
	struct active *a;

	while ((a = s->bounces)) {
		int all_busy = 1;

		for (b = s->bouncer; b < s->bouncer + BOUNCERS; b++)
			all_busy &= b->sock != -1 && b->serves;
		if (all_busy)
			return;
		b = idle_one(s);
		s->bounces = a->bounce_next;
		if (!s->bounces)
			s->bounces_end = &s->bounces;
		while (b && build(a, &packet) == -1)
			state_nomem();
		if (b && packet_send(b->sock, packet.s, packet.len, a->fd)
		    == 1) {
			b->serves = a;
			continue;
		}
		if (b)
			end_one(b);
		verdict(s, a, LATER);
	}
	for (b = s->bouncer; b < s->bouncer + BOUNCERS; b++)
		if (b->sock != -1 && !b->serves && s->now - b->idle > IDLE)
			end_one(b);
}

/* text: the process that queued it, and, if it knows, the new message. */
static void
log_queued(struct active const *a, char const *text)
{
	uint64_t pid = 0, id = 0;
	size_t n = uint64_scan(text, &pid);

	if (text[n] == ' ')
		uint64_scan(text + n + 1, &id);
	line_put(a->until ? "delay notice msg " : "bounce msg ");
	line_number(a->id);
	line_put(" qp ");
	line_number(pid);
	if (id) {
		line_put(" id ");
		line_number(id);
	}
	line_end();
}

void
bouncer_answer(struct send *s, struct bouncer *b)
{
	char answer[512];
	struct active *a = b->serves;
	size_t n = 0;
	int r = packet_recv(b->sock, answer, sizeof answer, &n, 0);
	int done = r == 1 && n > 1 && *answer == 'K' && !answer[n - 1];

	if (r == -1 && errno == EAGAIN)
		return;
	if (done && a) {
		log_queued(a, answer + 1);
	} else if (r == 1 && n > 1 && !answer[n - 1]) {
		line_put("warning: bounce not queued: ");
		line_text(answer + 1, strlen(answer + 1));
		line_end();
	}
	b->serves = 0;
	b->idle = s->now;
	if (r != 1)
		end_one(b);
	if (a)
		verdict(s, a, done ? DONE : LATER);
}
