/* authd: check passwords, for the programs that hear them from the network.
 *
 * Runs as: auth.  Reads: socket/auth/authd and limits, users/cdb, the vpasswd
 * files below domains/, control/defaultvdomain, authdelay, userlimits, me,
 * rehash.  Writes: answers on those sockets, auth/usage, log lines.  Starts:
 * pwhash, rehash, inject.  Trusts: the kernel for who asks, pwhash for the
 * comparison; of the question nothing.  Trusted by: checkpw, smtpd, authctl.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/selfpipe.h>
#include <skalibs/strerr.h>

#include "lib/clock.h"
#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/packet.h"
#include "lib/role.h"
#include "users/errand.h"
#include "users/guess.h"
#include "users/helper.h"
#include "users/login.h"
#include "users/orders.h"

#define SOCKET "socket/auth/authd"
#define LIMITS "socket/auth/limits"

enum {
	MOST = 512,		/* askers at a time */
	SILENCE = 30000,	/* milliseconds until somebody asks */
	DELAY = 1000,		/* milliseconds before the first refusals */
	QUESTION = 1024,
	TICK = 1000,		/* helpers are looked after so often */
	SAVE = 60000		/* what was counted is saved so often */
};

enum state { FREE, SILENT, QUEUED, HASHING, WAITING };

struct client {
	enum state state;
	int fd;
	int orders;		/* on the socket limits */
	struct login login;
};

struct authd {
	int listener, orders, signals;
	uint64_t save;		/* when, if anything has changed */
	uint64_t now;		/* milliseconds, monotonic */
	uid_t smtpd, popup;	/* who may ask, beside root */
	unsigned int delay;
	struct helpers helpers;
	unsigned int clients;
	unsigned int top;	/* all from here on are FREE */
	struct client client[MOST];
};

static void
drop(struct authd *a, struct client *c)
{
	close(c->fd);
	login_free(&c->login);
	c->state = FREE;
	a->clients--;
	while (a->top && a->client[a->top-1].state == FREE)
		a->top--;
}

/* Who may ask, on that socket? */
static int
is_welcome(struct authd const *a, uid_t uid, int orders)
{
	return uid == 0 || uid == a->smtpd || (!orders && uid == a->popup);
}

static void
greet(struct authd *a, int orders)
{
	int fd = accept4(orders ? a->orders : a->listener, 0, 0, SOCK_CLOEXEC);
	struct client *c = a->client;
	pid_t pid;
	uid_t uid;

	if (fd == -1)
		return;
	if (packet_peer(fd, &pid, &uid) == -1 || !is_welcome(a, uid, orders)) {
		log_start("warning", "refused to answer");
		log_number("uid", uid);
		log_end();
		close(fd);
		return;
	}
	while (c->state != FREE)
		c++;
	c->state = SILENT;
	c->fd = fd;
	c->orders = orders;
	c->login.full = uid == 0;
	c->login.unit = a->delay;
	c->login.due = a->now + SILENCE;
	a->clients++;
	if (c - a->client >= a->top)
		a->top = c - a->client + 1;
}

/* Hands it to a helper if one is free. */
static void
hash(struct authd *a, struct client *c)
{
	int r = helpers_compare(&a->helpers, &c->login.comparison, c,
	    a->now / 1000);

	if (r == -1) {
		strerr_warnwusys("start bin/pwhash");
		login_end(&c->login, 0, a->now);
	}
	c->state = r == 1 ? HASHING : r == 0 ? QUEUED : WAITING;
}

static void
hear(struct authd *a, struct client *c)
{
	char question[QUESTION];
	size_t n;
	int r = packet_recv(c->fd, question, sizeof question, &n, 0);

	c->login.arrived = a->now;
	if (r == 1 && c->orders) {
		orders_answer(c->fd, c->login.full, question, n,
		    a->now / 1000);
		drop(a, c);
		return;
	}
	if (r == 1)
		r = login_parse(&c->login, question, n);
	explicit_bzero(question, sizeof question);
	if (r != 1) {
		drop(a, c);
		return;
	}
	if (login_begin(&c->login))
		hash(a, c);
	else
		c->state = WAITING;
}

static void
answer(struct authd *a, struct client *c)
{
	stralloc out = STRALLOC_ZERO;

	/* who has gone away meanwhile does not hear it */
	if (login_answer(&c->login, &out) == 1)
		packet_send(c->fd, out.s, out.len, -1);
	stralloc_free(&out);
	drop(a, c);
}

static struct client *
longest_queued(struct authd *a)
{
	struct client *first = 0;
	unsigned int i;

	for (i = 0; i < a->top; i++) {
		struct client *c = a->client + i;

		if (c->state == QUEUED &&
		    (!first || c->login.arrived < first->login.arrived))
			first = c;
	}
	return first;
}

static void
serve_queue(struct authd *a)
{
	struct client *c;

	while ((c = longest_queued(a)) != 0) {
		hash(a, c);
		if (c->state == QUEUED)
			return;
	}
}

static void
hashed(struct authd *a, struct helper *h)
{
	struct client *c = h->job;

	login_end(&c->login, helper_answer(h, a->now / 1000), a->now);
	c->state = WAITING;
}

static void
save_now_and_then(struct authd *a)
{
	if (a->now < a->save)
		return;
	orders_save();
	a->save = a->now + SAVE;
}

static void
expire(struct authd *a)
{
	struct client *c;
	unsigned int i;

	while ((c = helpers_expire(&a->helpers, a->now / 1000)) != 0) {
		login_end(&c->login, 0, a->now);
		c->state = WAITING;
	}
	for (i = 0; i < a->top; i++) {
		c = a->client + i;
		if (c->state == WAITING && a->now >= c->login.due)
			answer(a, c);
		else if (c->state == SILENT && a->now >= c->login.due)
			drop(a, c);
	}
}

/* What to wait for: signals, the sockets, who has not asked yet, and busy
 * helpers. */
enum { SIGNALS, LISTENER, ORDERS, FIXED };
struct watch {
	struct pollfd fd[FIXED + MOST + HELPER_MOST];
	void *what[FIXED + MOST + HELPER_MOST];	/* client or helper */
	unsigned int count, helpers;		/* helpers start there */
};

static void
add(struct watch *w, int fd, void *what)
{
	w->fd[w->count].fd = fd;
	w->fd[w->count].events = POLLIN;
	w->what[w->count++] = what;
}

/* Milliseconds until the next thing is due; -1: nothing is. */
static int
prepare(struct authd *a, struct watch *w)
{
	uint64_t next = UINT64_MAX;
	unsigned int i;

	w->count = 0;
	/* poll passes over a negative descriptor */
	add(w, a->signals, 0);
	add(w, a->clients < MOST ? a->listener : -1, 0);
	add(w, a->clients < MOST ? a->orders : -1, 0);
	for (i = 0; i < a->top; i++) {
		struct client *c = a->client + i;

		if (c->state == SILENT)
			add(w, c->fd, c);
		if ((c->state == SILENT || c->state == WAITING) &&
		    c->login.due < next)
			next = c->login.due;
	}
	w->helpers = w->count;
	for (i = 0; i < a->helpers.limit; i++) {
		struct helper *h = a->helpers.h + i;

		if (h->pid && h->job)
			add(w, h->fd, h);
		if (h->pid && a->now + TICK < next)
			next = a->now + TICK;
	}
	if (errand_reap(a->now / 1000) && a->now + TICK < next)
		next = a->now + TICK;
	if (orders_changed() && a->save < next)
		next = a->save;
	if (next == UINT64_MAX)
		return -1;
	return next > a->now ? (int)(next - a->now) : 0;
}

static void
turn(struct authd *a, struct watch *w)
{
	int timeout = prepare(a, w);
	int r = poll(w->fd, w->count, timeout);
	unsigned int i;

	a->now = clock_ms();
	if (r <= 0)
		return;
	for (i = w->helpers; i < w->count; i++)
		if (w->fd[i].revents)
			hashed(a, w->what[i]);
	for (i = FIXED; i < w->helpers; i++)
		if (w->fd[i].revents)
			hear(a, w->what[i]);
	if (w->fd[LISTENER].revents)
		greet(a, 0);
	if (w->fd[ORDERS].revents && a->clients < MOST)
		greet(a, 1);
	if (w->fd[SIGNALS].revents) {
		orders_save();
		_exit(EXIT_DONE);
	}
}

static struct role
look_up(char const *role)
{
	struct role r;
	int found = role_find(role, &r);

	if (found == -1)
		strerr_diefusys(EXIT_TEMP, "look up role ", role);
	if (found == 0)
		strerr_dief(EXIT_PERM, "no user for role ", role);
	return r;
}

static void
open_sockets(struct authd *a)
{
	a->listener = packet_listen(SOCKET, 0666, 128);
	if (a->listener == -1)
		strerr_diefusys(EXIT_TEMP, "listen on ", SOCKET);
	a->orders = packet_listen(LIMITS, 0666, 128);
	if (a->orders == -1)
		strerr_diefusys(EXIT_TEMP, "listen on ", LIMITS);
	a->signals = selfpipe_init();
	if (a->signals == -1 || !selfpipe_trap(SIGTERM) ||
	    !selfpipe_trap(SIGINT))
		strerr_diefusys(EXIT_TEMP, "handle signals");
}

int
main(void)
{
	static struct authd a;
	static struct watch w;
	struct role auth;

	PROG = "authd";
	signal(SIGPIPE, SIG_IGN);
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", home_path());
	a.delay = DELAY;
	if (control_uint("control/authdelay", &a.delay) == -1)
		strerr_diefusys(EXIT_TEMP, "read control/authdelay");
	auth = look_up("auth");
	a.smtpd = look_up("smtpd").uid;
	a.popup = look_up("popup").uid;
	if (role_become(&auth) == -1)
		strerr_diefusys(EXIT_TEMP, "become the user of role auth");
	if (guess_init() == -1)
		strerr_diefusys(EXIT_TEMP, "draw a random number");
	helpers_init(&a.helpers);
	orders_load();
	open_sockets(&a);
	for (a.now = clock_ms();;) {
		save_now_and_then(&a);
		expire(&a);
		serve_queue(&a);
		turn(&a, &w);
	}
}
