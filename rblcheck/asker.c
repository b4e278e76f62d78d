#include "rblcheck/asker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libowfat/socket.h>
#include <libowfat/stralloc.h>

#include "lib/clock.h"

enum { IDLE, UDP, TCP_CONNECT, TCP_READ, DEAD };

enum {
	/* a resolver that has to ask around takes a second now and then */
	PATIENCE = 1500,
	LONGEST_PATIENCE = 12000
};

static void
hang_up(struct attempt *t, int state)
{
	if (t->fd != -1)
		close(t->fd);
	t->fd = -1;
	free(t->reply);
	t->reply = 0;
	t->have = 0;
	t->state = state;
}

static void
finish(struct asker *a, struct question *q, int result, int secure,
    char const *text, size_t len)
{
	unsigned int i;

	for (i = 0; i < a->servers.n; i++)
		hang_up(&q->at[i], IDLE);
	q->open = 0;
	a->open--;
	a->done(q, result, secure, text, len);
}

/* Why the system did not do it: our own want is told from a server that
 * cannot be reached. */
static char const *
trouble(void)
{
	switch (errno) {
	case EMFILE:
	case ENFILE:
		return "nodescriptors";
	case ENOMEM:
	case ENOBUFS:
		return "nomemory";
	default:
		return "unreachable";
	}
}

/* A new query over a new socket.  1, -1. */
static int
reach(struct asker *a, struct question *q, unsigned int s, int tcp)
{
	struct resolver const *r = &a->servers.at[s];
	struct attempt *t = &q->at[s];
	char dice[2 + DNSPACKET_NAME];

	hang_up(t, IDLE);
	if (getrandom(dice, sizeof dice, 0) != sizeof dice)
		return -1;
	t->len = dnspacket_query(t->query + 2, &q->name, dice,
	    q->letters && !tcp ? dice + 2 : 0, r->edns);
	t->query[0] = t->len >> 8;
	t->query[1] = t->len;
	t->fd = tcp ? socket_tcp6() : socket_udp6();
	if (t->fd == -1)
		return -1;
	t->state = tcp ? TCP_CONNECT : UDP;
	if (socket_connect6(t->fd, r->ip, r->port, 0) == 0)
		return 1;
	return tcp && errno == EINPROGRESS ? 1 : -1;
}

/* Asks a server, or repeats that.  1, -1. */
static int
ask(struct asker *a, struct question *q, unsigned int s)
{
	struct attempt *t = &q->at[s];

	if (t->state == IDLE && reach(a, q, s, 0) == -1)
		return -1;
	if (t->state != UDP)
		return 1;	/* TCP repeats by itself */
	if (send(t->fd, t->query + 2, t->len, 0) != (ssize_t)t->len)
		return -1;
	return 1;
}

/* Asks the next server that is not known to fail.  With none left the
 * question is over. */
static void
ask_next(struct asker *a, struct question *q)
{
	unsigned int i, s;
	int64_t wait;

	for (i = 0; i < a->servers.n; i++) {
		s = q->turn++ % a->servers.n;
		wait = q->patience;
		if (q->turn % a->servers.n == 0 &&
		    q->patience < LONGEST_PATIENCE)
			q->patience *= 2;
		if (q->at[s].state == DEAD)
			continue;
		if (ask(a, q, s) == 1) {
			q->next = clock_ms() + wait;
			return;
		}
		q->why = trouble();
		hang_up(&q->at[s], DEAD);
	}
	finish(a, q, DNSPACKET_FAILED, 0, q->why, strlen(q->why));
}

/* This server is of no use for this question.  Another one may be at work on
 * it already; if not, it is asked at once. */
static void
give_up(struct asker *a, struct question *q, unsigned int s, char const *why)
{
	unsigned int i;

	hang_up(&q->at[s], DEAD);
	q->why = why;
	for (i = 0; i < a->servers.n; i++)
		if (q->at[i].fd != -1)
			return;
	ask_next(a, q);
}

static void
again(struct asker *a, struct question *q, unsigned int s, int tcp)
{
	int r = tcp ? reach(a, q, s, 1) : -1;

	if (!tcp) {
		hang_up(&q->at[s], IDLE);
		r = ask(a, q, s);
	}
	if (r == -1)
		give_up(a, q, s, trouble());
}

static void
receive(struct asker *a, struct question *q, unsigned int s,
    char const *reply, size_t len)
{
	struct resolver *r = &a->servers.at[s];
	struct attempt *t = &q->at[s];
	stralloc text = { 0 };
	char const *why;
	int tcp = t->state == TCP_READ, result;
	int match = dnspacket_match(t->query + 2, t->len, reply, len);

	if (match == DNSPACKET_FOREIGN) {
		if (tcp)	/* nobody else can have sent it */
			give_up(a, q, s, "malformed");
		return;
	}
	if (match == DNSPACKET_CASE && q->letters && !tcp) {
		q->letters = 0;
		again(a, q, s, 0);
		return;
	}
	if (dnspacket_puzzled(reply) && t->query[2 + 11]) {
		r->edns = 0;
		again(a, q, s, tcp);
		return;
	}
	if (dnspacket_truncated(reply) && !tcp) {
		again(a, q, s, 1);
		return;
	}
	result = dnspacket_read(&q->name, reply, len, &text, &why);
	if (result == DNSPACKET_FAILED)
		give_up(a, q, s, why);
	else
		finish(a, q, result, r->trusted && dnspacket_secure(reply),
		    text.s, text.len);
	stralloc_free(&text);
}

static void
udp_ready(struct asker *a, struct question *q, unsigned int s)
{
	static char reply[DNSPACKET_MAX];
	ssize_t n = recv(q->at[s].fd, reply, sizeof reply, 0);

	if (n >= 0)
		receive(a, q, s, reply, n);
	else if (errno != EAGAIN && errno != EINTR)
		give_up(a, q, s, trouble());
}

/* Connected, or not: the write tells.  A query fits the buffer of a fresh
 * connection. */
static void
tcp_connected(struct asker *a, struct question *q, unsigned int s)
{
	struct attempt *t = &q->at[s];
	ssize_t n = t->len + 2;

	t->reply = malloc(2 + DNSPACKET_MAX);
	if (t->reply && send(t->fd, t->query, n, MSG_NOSIGNAL) == n)
		t->state = TCP_READ;
	else
		give_up(a, q, s, trouble());
}

static void
tcp_ready(struct asker *a, struct question *q, unsigned int s)
{
	struct attempt *t = &q->at[s];
	size_t want = 2;
	char *reply;
	ssize_t n;

	if (t->have >= 2)
		want += (unsigned char)t->reply[0] << 8 |
		    (unsigned char)t->reply[1];
	n = read(t->fd, t->reply + t->have, want - t->have);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		give_up(a, q, s, n ? trouble() : "unreachable");
		return;
	}
	t->have += n;
	if (t->have < want || want == 2)
		return;
	reply = t->reply;	/* hang_up would free it under our hands */
	t->reply = 0;
	receive(a, q, s, reply + 2, want - 2);
	free(reply);
}

static void
ready(struct asker *a, struct question *q, unsigned int s)
{
	switch (q->at[s].state) {
	case UDP:
		udp_ready(a, q, s);
		break;
	case TCP_CONNECT:
		tcp_connected(a, q, s);
		break;
	case TCP_READ:
		tcp_ready(a, q, s);
		break;
	}
}

struct question *
asker_slot(struct asker *a)
{
	unsigned int i;

	for (i = 0; i < ASKER_OPEN; i++)
		if (!a->q[i].open)
			return &a->q[i];
	return 0;
}

void
asker_start(struct asker *a, struct question *q)
{
	unsigned int i;

	q->open = 1;
	q->patience = PATIENCE;
	q->turn = 0;
	q->letters = 1;
	q->why = "unreachable";
	for (i = 0; i < a->servers.n; i++) {
		q->at[i].fd = -1;
		q->at[i].reply = 0;
		q->at[i].state = IDLE;
	}
	a->open++;
	ask_next(a, q);
}

/* A server that has said anything has failed, or we would not be here. */
static void
late(struct asker *a, struct question *q)
{
	unsigned int i;

	for (i = 0; i < a->servers.n; i++)
		if (q->at[i].state == DEAD) {
			finish(a, q, DNSPACKET_FAILED, 0, q->why,
			    strlen(q->why));
			return;
		}
	finish(a, q, DNSPACKET_TIMEOUT, 0, "", 0);
}

/* What poll is to watch, and for how long; *who[k]: question and server of
 * p[k]. */
struct watch {
	struct question *q;
	unsigned int server;
};
enum { WATCHES = 1 + ASKER_OPEN * RESOLVERS_MAX };

static int
watch(struct asker *a, struct pollfd *p, struct watch *who)
{
	struct question *q;
	unsigned int s;
	int n = 0;

	for (q = a->q; q < a->q + ASKER_OPEN; q++) {
		if (!q->open)
			continue;
		for (s = 0; s < a->servers.n; s++) {
			if (q->at[s].fd == -1)
				continue;
			p[n].fd = q->at[s].fd;
			p[n].events = q->at[s].state == TCP_CONNECT ?
			    POLLOUT : POLLIN;
			who[n].q = q;
			who[n++].server = s;
		}
	}
	return n;
}

/* Milliseconds until the first timer; -1: none runs. */
static int
pause_of(struct asker const *a)
{
	int64_t first = -1, now = clock_ms();
	struct question const *q;

	for (q = a->q; q < a->q + ASKER_OPEN; q++) {
		int64_t t = q->next < q->deadline ? q->next : q->deadline;

		if (q->open && (first == -1 || t < first))
			first = t;
	}
	if (first == -1)
		return -1;
	return first > now ? first - now : 0;
}

static void
timers(struct asker *a)
{
	int64_t now = clock_ms();
	struct question *q;

	for (q = a->q; q < a->q + ASKER_OPEN; q++)
		if (q->open && now >= q->deadline)
			late(a, q);
		else if (q->open && now >= q->next)
			ask_next(a, q);
}

void
asker_step(struct asker *a, struct pollfd *extra)
{
	static struct pollfd p[WATCHES];
	static struct watch who[WATCHES];
	int i, n = watch(a, p, who);

	p[n] = *extra;
	p[n].revents = 0;
	if (poll(p, n + 1, pause_of(a)) > 0) {
		extra->revents = p[n].revents;
		for (i = 0; i < n; i++)
			/* an earlier one may have closed this */
			if (p[i].revents && who[i].q->open &&
			    who[i].q->at[who[i].server].fd == p[i].fd)
				ready(a, who[i].q, who[i].server);
	}
	timers(a);
}
