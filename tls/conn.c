#include "tls/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/packet.h"
#include "tls/pump.h"

enum { THROW_AWAY = 1 << 20 };	/* bytes, of a client that does not end */

static void
log_conn(struct conn const *c, char const *level, char const *event)
{
	log_start(level, event);
	log_string("session", c->session);
	if (c->remote[0])
		log_string("remote", c->remote);
}

static void
set_due(struct conns *w, struct conn *c, uint64_t in)
{
	if (!c->due)
		w->timed++;
	c->due = w->now + in;
}

static void
no_due(struct conns *w, struct conn *c)
{
	if (c->due)
		w->timed--;
	c->due = 0;
}

/* 0 events: only the end of the connection. */
static void
watch(struct conns *w, struct end *e, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = e };

	if (e->fd == -1 || (e->watched && e->events == events))
		return;
	if (epoll_ctl(w->epoll, e->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
	    e->fd, &ev) == -1) {
		log_conn(e->conn, "warning", "unable to watch a descriptor");
		log_errno(errno);
		log_end();
		set_due(w, e->conn, 0);
		return;
	}
	e->watched = 1;
	e->events = events;
}

static void
unwatch(struct conns *w, struct end *e)
{
	if (e->watched)
		epoll_ctl(w->epoll, EPOLL_CTL_DEL, e->fd, 0);
	e->watched = 0;
}

/* The program may still hold the connection: closing is not enough to make
 * epoll forget it.
 */
static void
shut(struct conns *w, struct end *e)
{
	unwatch(w, e);
	if (e->fd != -1)
		close(e->fd);
	e->fd = -1;
}

static void
kill_conn(struct conns *w, struct conn *c)
{
	if (c->state == CONN_DEAD)
		return;
	shut(w, &c->control);
	shut(w, &c->net);
	shut(w, &c->clear);
	SSL_free(c->tls);
	c->tls = 0;
	pump_drop(&c->in);
	pump_drop(&c->out);
	no_due(w, c);
	if (c->counted)
		w->room->used[w->room->slot][c->user]--;
	w->count--;
	w->by_user[c->user]--;
	*(c->before ? &c->before->next : &w->all) = c->next;
	if (c->next)
		c->next->before = c->before;
	c->state = CONN_DEAD;
	c->next_dead = w->dead;
	w->dead = c;
}

/* The client hears the end of what was sent: a socket closed with unread
 * bytes in it would take that back.
 */
static void
linger(struct conns *w, struct conn *c)
{
	shut(w, &c->control);
	shut(w, &c->clear);
	SSL_free(c->tls);
	c->tls = 0;
	pump_drop(&c->in);
	pump_drop(&c->out);
	c->more = 0;
	c->state = CONN_LINGERS;
	shutdown(c->net.fd, SHUT_WR);
	set_due(w, c, CONN_LINGER);
	watch(w, &c->net, EPOLLIN);
}

static void
throw_away(struct conns *w, struct conn *c)
{
	static char nothing[16384];
	ssize_t n = recv(c->net.fd, nothing, sizeof nothing, MSG_DONTWAIT);

	if (n > 0)
		c->thrown += n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		kill_conn(w, c);
	if (c->thrown > THROW_AWAY)
		kill_conn(w, c);
}

static void
lost(struct conns *w, struct conn *c, char const *event, char const *reason)
{
	log_conn(c, "info", event);
	if (reason)
		log_string("reason", reason);
	log_end();
	linger(w, c);
}

/* 1, 0 */
static int
put_answer(char *out, size_t max, size_t *n, char const *name,
    char const *value)
{
	int r;

	if (!value)
		return 1;
	r = snprintf(out + *n, max - *n, "%s=%s", name, value);
	if (r < 0 || (size_t)r >= max - *n)
		return 0;
	*n += (size_t)r + 1;
	return 1;
}

static char const *
wanted_name(struct conn *c)
{
	return SSL_get_servername(c->tls, TLSEXT_NAMETYPE_host_name);
}

/* a name as the client sent it, if it is one */
static char const *
clean_name(char const *name)
{
	static char const good[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	return name && name[0] && !name[strspn(name, good)] ? name : 0;
}

/* VAR=value NUL ... NUL, with mod_ssl's names.  1; 0: the program does not
 * take it.
 */
static int
answer(struct conn *c)
{
	char out[1024], bits[16];
	size_t n = 0;
	ssize_t r;

	snprintf(bits, sizeof bits, "%d",
	    SSL_CIPHER_get_bits(SSL_get_current_cipher(c->tls), 0));
	if (!put_answer(out, sizeof out, &n, "SSL_PROTOCOL",
	    SSL_get_version(c->tls)) ||
	    !put_answer(out, sizeof out, &n, "SSL_CIPHER",
	    SSL_get_cipher_name(c->tls)) ||
	    !put_answer(out, sizeof out, &n, "SSL_CIPHER_USEKEYSIZE", bits) ||
	    !put_answer(out, sizeof out, &n, "SSL_SESSION_RESUMED",
	    SSL_session_reused(c->tls) ? "Resumed" : "Initial") ||
	    !put_answer(out, sizeof out, &n, "SSL_TLS_SNI_SERVERNAME",
	    clean_name(wanted_name(c))) || n == sizeof out)
		return 0;
	out[n++] = 0;
	r = send(c->control.fd, out, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return r == (ssize_t)n;
}

static void
say_open(struct conn *c)
{
	log_conn(c, "info", "encrypted");
	log_string("protocol", SSL_get_version(c->tls));
	log_string("cipher", SSL_get_cipher_name(c->tls));
	if (wanted_name(c))
		log_string("name", wanted_name(c));
	if (SSL_session_reused(c->tls))
		log_string("resumed", "yes");
	log_end();
}

/* What to wait for, or the end. */
static void
settle(struct conns *w, struct conn *c)
{
	uint32_t net = c->in.len || c->in.ended ? 0 : c->in.net;
	uint32_t clear = 0;

	if (c->out.passed && (c->in.passed || c->gone)) {
		linger(w, c);
		return;
	}
	watch(w, &c->net, net | c->out.net);
	if (c->gone)
		return;
	if (!c->out.ended && !c->out.len)
		clear |= EPOLLIN;
	if (c->in.len)
		clear |= EPOLLOUT;
	watch(w, &c->clear, clear);
}

static void
pump(struct conns *w, struct conn *c)
{
	int moved = 0;

	c->more = 0;
	if ((!c->gone && pump_in(c, &moved) == -1) ||
	    pump_out(c, &moved) == -1) {
		lost(w, c, "connection lost", pump_reason());
		return;
	}
	if (moved && !c->gone)
		set_due(w, c, w->room->idle);
	if (c->more && !c->queued) {
		c->queued = 1;
		c->next_more = w->more;
		w->more = c;
	}
	settle(w, c);
}

static void
shake(struct conns *w, struct conn *c)
{
	uint32_t events;
	int r;

	errno = 0;
	r = SSL_accept(c->tls);
	if (r != 1 && (events = pump_waits(c->tls, r)) != 0) {
		watch(w, &c->net, events);
		return;
	}
	if (r != 1) {
		lost(w, c, "handshake failed", pump_reason());
		return;
	}
	say_open(c);
	if (c->answers && !answer(c)) {
		lost(w, c, "the program has gone", 0);
		return;
	}
	shut(w, &c->control);
	c->state = CONN_OPEN;
	set_due(w, c, w->room->idle);
	pump(w, c);
}

/* Is there room for one more session of that user? */
static int
room_for(struct conn_room *room, unsigned int user)
{
	unsigned int all = 0, his = 0, i, j;

	for (i = 0; i < CONN_SLOTS; i++) {
		for (j = 0; j < room->users; j++)
			all += room->used[i][j];
		his += room->used[i][user];
	}
	/* nobody gets everything */
	return all < room->sessions &&
	    his < room->sessions - room->sessions / 4;
}

/* The program has asked.  Until now the connection was not touched. */
static void
begin(struct conns *w, struct conn *c)
{
	int one = 1, flags = fcntl(c->net.fd, F_GETFL);

	if (!room_for(w->room, c->user)) {
		log_conn(c, "warning", "too many connections");
		log_end();
		kill_conn(w, c);
		return;
	}
	w->room->used[w->room->slot][c->user]++;
	c->counted = 1;
	setsockopt(c->net.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	c->tls = SSL_new(w->server);
	if (flags == -1 || !c->tls || SSL_set_fd(c->tls, c->net.fd) != 1 ||
	    fcntl(c->net.fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		log_conn(c, "warning", "unable to begin a handshake");
		log_end();
		kill_conn(w, c);
		return;
	}
	if (!c->answers)
		shut(w, &c->control);
	else
		unwatch(w, &c->control);
	c->state = CONN_SHAKES;
	set_due(w, c, w->room->handshake);
	watch(w, &c->clear, 0);
	shake(w, c);
}

static void
asked(struct conns *w, struct conn *c)
{
	char letter;
	ssize_t r = recv(c->control.fd, &letter, 1, MSG_DONTWAIT);

	if (r == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (r == 1 && (letter == 'y' || letter == 'Y')) {
		c->answers = letter == 'Y';
		begin(w, c);
		return;
	}
	if (r == 1) {
		log_conn(c, "warning", "the program asks for something else");
		log_end();
	}
	kill_conn(w, c);
}

static void
end_set(struct conn *c, struct end *e, int fd)
{
	e->conn = c;
	e->fd = fd;
}

/* The record has come, or has not. */
static void
greeted(struct conns *w, struct conn *c)
{
	struct tlshandover h;
	int r = tlshandover_receive(c->control.fd, &h);

	if (r == 0)
		return;
	if (r == -1) {
		kill_conn(w, c);
		return;
	}
	shut(w, &c->control);
	end_set(c, &c->control, h.control);
	end_set(c, &c->net, h.net);
	end_set(c, &c->clear, h.clear);
	memcpy(c->session, h.session, sizeof c->session);
	memcpy(c->remote, h.remote, sizeof c->remote);
	c->state = CONN_OFFERED;
	no_due(w, c);
	watch(w, &c->control, EPOLLIN);
}

/* The user's index, or -1: nobody who may. */
static int
who(struct conns *w, int fd)
{
	unsigned int i;
	pid_t pid;
	uid_t uid;

	if (packet_peer(fd, &pid, &uid) == -1)
		return -1;
	for (i = 0; i < w->room->users; i++)
		if (w->room->uid[i] == uid)
			break;
	if (i == w->room->users) {
		log_start("warning", "refused to serve");
		log_number("uid", uid);
		log_end();
		return -1;
	}
	if (w->count < w->room->offers &&
	    w->by_user[i] < w->room->offers - w->room->offers / 4)
		return (int)i;
	log_start("warning", "too many offers");
	log_number("uid", uid);
	log_end();
	return -1;
}

void
conn_accept(struct conns *w, int listener)
{
	int fd = accept4(listener, 0, 0, SOCK_CLOEXEC);
	int user = fd == -1 ? -1 : who(w, fd);
	struct conn *c = user == -1 ? 0 : calloc(1, sizeof *c);

	if (!c) {
		if (fd != -1)
			close(fd);
		return;
	}
	c->user = (unsigned int)user;
	end_set(c, &c->control, fd);
	c->net.fd = c->clear.fd = -1;
	c->next = w->all;
	if (c->next)
		c->next->before = c;
	w->all = c;
	w->count++;
	w->by_user[c->user]++;
	c->state = CONN_GREETS;
	set_due(w, c, CONN_GREETING);
	greeted(w, c);
	if (c->state == CONN_GREETS)
		watch(w, &c->control, EPOLLIN);
}

/* The program has closed its end: what it has said still goes out. */
static void
gone(struct conns *w, struct conn *c)
{
	c->gone = 1;
	unwatch(w, &c->clear);
	pump_drop(&c->in);
	set_due(w, c, CONN_FLUSH);
}

void
conn_event(struct conns *w, struct end *e, uint32_t events)
{
	struct conn *c = e->conn;

	if (e == &c->clear && events & EPOLLHUP && !c->gone &&
	    (c->state == CONN_SHAKES || c->state == CONN_OPEN))
		gone(w, c);
	switch (c->state) {
	case CONN_GREETS:
		greeted(w, c);
		break;
	case CONN_OFFERED:
		asked(w, c);
		break;
	case CONN_SHAKES:
		if (c->gone)
			lost(w, c, "the program has gone", 0);
		else if (e == &c->net)
			shake(w, c);
		break;
	case CONN_OPEN:
		/* an error that neither direction would come across */
		if (e == &c->net && events & EPOLLERR)
			events |= EPOLLHUP;
		if (e == &c->net && events & EPOLLHUP && !e->events)
			lost(w, c, "connection lost", 0);
		else
			pump(w, c);
		break;
	case CONN_LINGERS:
		throw_away(w, c);
		break;
	case CONN_DEAD:
		break;
	}
}

void
conn_more(struct conns *w)
{
	struct conn *c = w->more, *next;

	w->more = 0;
	for (; c; c = next) {
		next = c->next_more;
		c->queued = 0;
		if (c->more && c->state == CONN_OPEN)
			pump(w, c);
	}
}

void
conn_expire(struct conns *w)
{
	struct conn *c, *next;

	for (c = w->all; c; c = next) {
		next = c->next;
		if (!c->due || w->now < c->due)
			continue;
		if (c->state == CONN_SHAKES)
			lost(w, c, "handshake failed", "it took too long");
		else if (c->state == CONN_OPEN)
			lost(w, c, "connection lost", c->gone ?
			    "the client does not read" : "idle for too long");
		else
			kill_conn(w, c);
	}
}

void
conn_bury(struct conns *w)
{
	struct conn *c;

	while ((c = w->dead) != 0) {
		w->dead = c->next_dead;
		free(c);
	}
}
