#include "send/command.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/job.h"
#include "lib/limits.h"
#include "lib/packet.h"
#include "send/found.h"
#include "send/reasons.h"
#include "send/settings.h"
#include "send/wish.h"

enum {
	REQUESTS = 64		/* of one client in one round */
};

struct client {
	int sock;		/* -1: this place is free */
	uint32_t generation;	/* of who has it: no answer to the wrong one */
};

static struct client client[COMMAND_CLIENTS];
static int listener = -1;

int
command_open(void)
{
	int i;

	for (i = 0; i < COMMAND_CLIENTS; i++)
		client[i].sock = -1;
	listener = packet_listen("socket/send/send", 0660, 16);
	return listener == -1 ? -1 : 1;
}

static struct client *
free_place(void)
{
	int i;

	for (i = 0; i < COMMAND_CLIENTS; i++)
		if (client[i].sock == -1)
			return &client[i];
	return 0;
}

static void
drop(struct client *c)
{
	close(c->sock);
	c->sock = -1;
}

/* Root, ourselves, and who is in our group, which is queue's. */
static int
may_order(int sock)
{
	gid_t groups[64];
	struct ucred u;
	socklen_t n = sizeof u;
	size_t i;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &u, &n) == -1)
		return 0;
	if (!u.uid || u.uid == geteuid() || u.gid == getegid())
		return 1;
	n = sizeof groups;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &n) == -1)
		return 0;
	for (i = 0; i < n / sizeof *groups; i++)
		if (groups[i] == getegid())
			return 1;
	return 0;
}

static void
welcome(void)
{
	int sock = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c = free_place();

	if (sock == -1)
		return;
	if (!c || !may_order(sock)) {
		close(sock);
		return;
	}
	c->sock = sock;
	c->generation++;
}

/* Who does not read its answers is dropped. */
static void
reply(struct client *c, stralloc const *s)
{
	if (packet_send(c->sock, s->s, s->len, -1) == -1)
		drop(c);
}

/* "id err", as every answer begins. */
static void
start(stralloc *out, uint64_t id, int err)
{
	out->len = 0;
	while (job_number(out, id) == -1 || job_number(out, err) == -1) {
		out->len = 0;
		state_nomem();
	}
}

static void
put_number(stralloc *out, uint64_t u)
{
	while (job_number(out, u) == -1)
		state_nomem();
}

void
command_answer(struct send *s, uint64_t ticket, uint64_t id, int err)
{
	static stralloc out = STRALLOC_ZERO;
	struct client *c = &client[ticket % COMMAND_CLIENTS];

	(void)s;
	if (c->sock == -1 || c->generation != ticket / COMMAND_CLIENTS)
		return;
	start(&out, id, err);
	reply(c, &out);
}

static uint64_t
ticket_of(struct client const *c)
{
	return (uint64_t)c->generation * COMMAND_CLIENTS + (c - client);
}

/* S: numbers of everything. */
static void
status(struct send *s, stralloc *out)
{
	uint64_t in[TABLE_GONE + 1] = { 0 };
	uint32_t i;
	int k;

	for (i = 0; i < s->table.used; i++)
		in[s->table.m[i].state]++;
	start(out, 0, 0);
	for (k = TABLE_FRESH; k < TABLE_GONE; k++)
		put_number(out, in[k]);
	for (k = 0; k < CHANNELS; k++) {
		put_number(out, s->channel[k].running);
		put_number(out, s->channel[k].limit);
	}
	put_number(out, s->dests);
	put_number(out, s->marks.pending);
}

static uint64_t
seconds_until(struct send const *s, uint32_t when)
{
	return when > SECONDS(s) ? when - SECONDS(s) : 0;
}

/* Q: a letter for its state, seconds until its next try, reason. */
static void
query(struct send *s, uint32_t i, stralloc *out)
{
	static char const letters[] = "-fwpamlhg";
	struct message const *m = &s->table.m[i];
	char const *why = reasons_get(m->reason);
	uint32_t due = table_due(m);

	start(out, m->id, 0);
	while (job_put(out, letters + m->state, 1) == -1)
		state_nomem();
	put_number(out, due >= TABLE_IN_LINE ? 0 : seconds_until(s, due));
	while (job_puts(out, why ? why : "") == -1)
		state_nomem();
}

/* The offsets behind an order.  -1: malformed. */
static ssize_t
offsets(char const *p, size_t n, size_t pos, uint32_t *out)
{
	size_t k = 0;
	uint64_t u;

	for (; pos < n; k++) {
		if (k == LIMIT_ORDER || !job_field_number(p, n, &pos, &u) ||
		    u > UINT32_MAX)
			return -1;
		out[k] = u;
	}
	return k;
}

/* An order about message i.  An errno to answer at once, or -1: later. */
static int
order(struct send *s, char kind, uint32_t i, uint32_t const *at, size_t n)
{
	int e = EINVAL;

	if (s->exiting)
		return ESHUTDOWN;
	switch (kind) {
	case 'T':
		return n ? wish_try(s, i, at, n) : wish_now(s, i);
	case 'U':
		return wish_release(s, i);
	case 'H':
		if (s->table.m[i].state == TABLE_HELD)
			return s->table.m[i].marks ? EBUSY : 0;
		e = wish_order(s, i, WISH_HOLD, 0, 0);
		break;
	case 'R':
		e = wish_order(s, i, WISH_DELETE, 0, 0);
		break;
	case 'F':
		e = wish_order(s, i, WISH_BOUNCE, at, n);
		break;
	case 'D':
		if (n)
			e = wish_order(s, i, WISH_DONE, at, n);
		break;
	}
	return e ? e : -1;
}

/* Orders without a message.  1; 0 it is none. */
static int
general(struct send *s, char kind, stralloc *out)
{
	if (kind == 'S') {
		status(s, out);
		return 1;
	}
	if (kind != 'A' && kind != 'C')
		return 0;
	/* what comes next, in this round even, goes by the new settings */
	if (kind == 'C')
		settings_reload(s);
	else
		s->hurry = 1;
	start(out, 0, 0);
	return 1;
}

static void
about(struct send *s, struct client *c, char kind, uint64_t id, char const *p,
    size_t n, size_t pos)
{
	static uint32_t at[LIMIT_ORDER];
	static stralloc out = STRALLOC_ZERO;
	ssize_t k = offsets(p, n, pos, at);
	uint32_t i;
	int e = ENOENT;

	if (kind == 'N') {
		found_new(s, id);
		e = 0;
	} else if (k == -1) {
		e = EINVAL;
	} else if (table_find(&s->table, id, &i) == 1) {
		if (kind == 'Q') {
			query(s, i, &out);
			reply(c, &out);
			return;
		}
		s->ticket = ticket_of(c);
		e = order(s, kind, i, at, k);
		s->ticket = 0;
	}
	if (e == -1)
		return;
	start(&out, id, e);
	reply(c, &out);
}

/* 1; 0 it does not speak our language. */
static int
obey(struct send *s, struct client *c, char const *p, size_t n)
{
	static stralloc out = STRALLOC_ZERO;
	size_t pos = 0;
	char const *kind = job_field(p, n, &pos);
	uint64_t id;

	if (!kind || strlen(kind) != 1)
		return 0;
	if (general(s, *kind, &out)) {
		reply(c, &out);
		return 1;
	}
	if (!job_field_number(p, n, &pos, &id))
		return 0;
	about(s, c, *kind, id, p, n, pos);
	return 1;
}

static void
hear(struct send *s, struct client *c)
{
	static char packet[LIMIT_PACKET];
	size_t n;
	int i, r;

	for (i = 0; i < REQUESTS && c->sock != -1; i++) {
		r = packet_recv(c->sock, packet, sizeof packet, &n, 0);
		if (r == -1 && errno == EAGAIN)
			return;
		if (r != 1 || !obey(s, c, packet, n)) {
			if (c->sock != -1)
				drop(c);
			return;
		}
	}
}

void
command_fill(struct pollfd p[COMMAND_FDS])
{
	int i;

	for (i = 0; i < COMMAND_CLIENTS; i++) {
		p[i].fd = client[i].sock;
		p[i].events = POLLIN;
	}
	/* nobody waits for a place in vain: those in line stay in the kernel */
	p[i].fd = free_place() ? listener : -1;
	p[i].events = POLLIN;
}

void
command_react(struct send *s, struct pollfd const p[COMMAND_FDS])
{
	int i;

	for (i = 0; i < COMMAND_CLIENTS; i++)
		if (p[i].revents && client[i].sock != -1)
			hear(s, &client[i]);
	if (p[i].revents)
		welcome();
}
