#include "queue/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/clock.h"
#include "lib/enqueue.h"
#include "lib/exitcode.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/packet.h"
#include "queue/change.h"
#include "queue/incoming.h"

enum {
	/* connections of one user, not counting root, smtpd and send: local
	 * users cannot keep all workers, or all of the disk, for themselves;
	 * all of them together get a part of the places */
	PER_USER = 20,
	USERS_PART = 2,
	/* milliseconds */
	BUSY = 20,		/* see may_listen */
	SWEEP = 5000,		/* how often we look for idle clients */
	IDLE_FRESH = 10000,	/* from connect to "N" */
	IDLE_KEPT = 300000,	/* from "K" to the next "N" */
	IDLE_WRITING = 7200000,	/* without a byte in the file */
	DRAIN = 10000,		/* after SIGTERM */
	PATIENCE = 1000,	/* for send to read our answers */
	EVENTS = 16
};

enum state { FREE = 0, FRESH, WRITING, KEPT, MANAGER };

struct client {
	enum state state;
	int sock;
	struct sender from;
	int trusted;		/* root or send: may change messages */
	uint64_t since;		/* of the last record */
	struct incoming in;
};

struct worker {
	struct store *st;
	int listener, home, signals;
	int all, clients;	/* epoll: all is clients and the listener */
	unsigned int count;	/* of clients */
	unsigned int busy;	/* of them, FRESH, WRITING or MANAGER */
	int quiet;		/* nothing came in the last wait */
	uint64_t drain;		/* when to stop at the latest; 0: never */
	uint64_t swept;
	struct client client[CLIENTS_MAX];
};

/* Not on the stack: touched as far as records are long, no further. */
static struct worker worker;
static char record[LIMIT_PACKET];

static int
is_busy(enum state s)
{
	return s == FRESH || s == WRITING || s == MANAGER;
}

static void
enter(struct worker *w, struct client *c, enum state s)
{
	w->busy -= is_busy(c->state);
	w->busy += is_busy(s);
	w->count -= c->state != FREE;
	w->count += s != FREE;
	c->state = s;
}

static uint32_t *
uid_slot(struct worker *w, struct client *c)
{
	return &w->st->shared->uid[w->st->number][c - w->client];
}

static void
drop(struct worker *w, struct client *c)
{
	incoming_drop(&c->in);
	close(c->sock);
	*uid_slot(w, c) = 0;
	enter(w, c, FREE);
}

static void
complain(struct client *c, char const *what, char const *why)
{
	log_start("warning", what);
	if (c->in.session[0])
		log_string("session", c->in.session);
	log_number("uid", c->from.uid);
	log_number("pid", c->from.pid);
	log_string("reason", why);
	log_end();
}

/* send may be slow to read what it asked for; nobody else has that much
 * coming.  1, or -1: the client is no longer worth it.
 */
static int
answer(struct client *c, char const *s, size_t n, int fd)
{
	struct pollfd p = { c->sock, POLLOUT, 0 };

	if (packet_send(c->sock, s, n, fd) == 1)
		return 1;
	if (errno != EAGAIN || !c->trusted || poll(&p, 1, PATIENCE) != 1)
		return -1;
	return packet_send(c->sock, s, n, fd);
}

/* "K 12": letter, number */
static size_t
head(char *out, char letter, uint64_t u)
{
	out[0] = letter;
	out[1] = ' ';
	return 2 + uint64_fmt(out + 2, u);
}

static int
refuse(struct client *c, int code, char const *why)
{
	char s[256];
	size_t n = head(s, 'E', code), len = strlen(why);

	complain(c, "message refused", why);
	s[n++] = ' ';
	if (len > sizeof s - n)
		len = sizeof s - n;
	memcpy(s + n, why, len);
	return answer(c, s, n + len, -1);
}

/* ---- one message */

static int
begin(struct worker *w, struct client *c, char const *s, size_t n)
{
	char out[64];
	char const *why = 0;
	size_t len;
	int code;

	if (n < 2 || s[1] != ' ')
		return -1;
	code = incoming_begin(w->st, &c->from, s + 2, n - 2, &c->in, &why);
	if (code) {
		enter(w, c, KEPT);
		return refuse(c, code, why);
	}
	enter(w, c, WRITING);
	len = head(out, 'F', c->in.id);
	out[len++] = ' ';
	len += uint32_xfmt(out + len, c->in.head_crc);
	out[len++] = ' ';
	len += uint64_fmt(out + len, c->in.head);
	return answer(c, out, len, c->in.fd);
}

static int
parse_claim(char const *s, size_t n, struct claim *out)
{
	char const *end = memchr(s, 0, n);
	size_t len;

	if (!end || n < 2 || s[1] != ' ')
		return 0;
	len = uint64_scan(s + 2, &out->size);
	if (!len || s[2 + len] != ' ' ||
	    !uint320_xscan(s + 3 + len, &out->crc))
		return 0;
	out->last = end + 1;
	out->len = n - (end + 1 - s);
	return 1;
}

/* The way for send to hear of a message at once; if it does not listen, it
 * will find the message in the directory.
 */
static void
pull_trigger(struct store const *st, uint64_t id)
{
	char s[UINT64_FMT + 1];
	size_t n = uint64_fmt(s, id);
	ssize_t r;

	if (st->trigger == -1)
		return;
	s[n++] = '\n';
	r = write(st->trigger, s, n);
	(void)r;
}

static void
log_queued(struct client const *c, struct receipt const *r)
{
	log_start("info", "queued");
	log_string("session", c->in.session);
	log_number("id", c->in.id);
	log_number("uid", c->from.uid);
	log_number("pid", c->from.pid);
	log_number("size", r->size);
	log_path("from", r->from, r->from_len);
	log_number("recipients", r->recipients);
	log_end();
}

/* One that keeps its connection may, as long as it is alone: connections of
 * busy clients then spread over the workers by themselves.
 */
static int
commit(struct worker *w, struct client *c, char const *s, size_t n)
{
	char out[32];
	char const *why = 0;
	struct claim claim;
	struct receipt receipt;
	int code, r;

	if (parse_claim(s, n, &claim) != 1)
		return -1;
	code = incoming_commit(w->st, &c->from, &c->in, &claim, &receipt,
	    &why);
	enter(w, c, KEPT);
	if (code) {
		r = refuse(c, code, why);
	} else {
		r = answer(c, out, head(out, 'K', c->in.id), -1);
		pull_trigger(w->st, c->in.id);
		log_queued(c, &receipt);
	}
	stralloc_free(&c->in.envelope);
	return w->count > 1 || w->drain ? -1 : r;
}

/* ---- one record */

static int
manage(struct worker *w, struct client *c, char const *s, size_t n)
{
	char out[16] = "-";
	int e = change(s, n);

	enter(w, c, MANAGER);
	if (!e)
		return answer(c, "+", 1, -1);
	return answer(c, out, 1 + uint_fmt(out + 1, e), -1);
}

/* 1, or -1: drop that client. */
static int
serve(struct worker *w, struct client *c, char const *s, size_t n)
{
	int writing = c->state == WRITING;

	c->since = clock_ms();
	if (*s == 'N' && !writing)
		return begin(w, c, s, n);
	if (*s == 'V' && writing) {
		incoming_piece(&c->in, s + 1, n - 1);
		return 1;
	}
	if (*s == 'C' && writing)
		return commit(w, c, s, n);
	if (memchr("DRBH", *s, 4) && c->trusted && !writing)
		return manage(w, c, s, n);
	complain(c, "client dropped", "record out of place");
	return -1;
}

/* What a client has sent: a few records, for others wait too. */
static void
hear(struct worker *w, struct client *c)
{
	enum { MOST = 32 };
	size_t n;
	int r, i;

	for (i = 0; i < MOST; i++) {
		r = packet_recv(c->sock, record, sizeof record, &n, 0);
		if (r == -1 && errno == EAGAIN)
			return;
		if (r == -1 && errno == EMSGSIZE)
			complain(c, "client dropped", "record too long");
		if (r == 1)
			r = serve(w, c, record, n);
		if (r != 1) {
			drop(w, c);
			return;
		}
		if (!c->trusted)
			return;
	}
}

/* ---- connections */

struct crowd {
	unsigned int of_user;	/* connections of the one that is asked for */
	unsigned int of_all;	/* who are limited */
};

static struct crowd
crowd(struct worker const *w, uid_t uid)
{
	struct crowd n = { 0, 0 };
	unsigned int i, j;

	for (i = 0; i < w->st->set.workers; i++)
		for (j = 0; j < CLIENTS_MAX; j++) {
			uint32_t who = w->st->shared->uid[i][j];

			n.of_all += who != 0;
			n.of_user += who == uid + 1;
		}
	return n;
}

static struct client *
free_slot(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (w->client[i].state == FREE)
			return &w->client[i];
	return 0;
}

/* Root and our own services are not limited: places are kept for them. */
static int
admit(struct worker *w, struct client *c)
{
	struct settings const *set = &w->st->set;
	uid_t uid = c->from.uid;
	char const *why = 0;
	struct crowd now;
	size_t n;

	c->trusted = uid == 0 || uid == set->send;
	if (c->trusted || uid == set->smtpd)
		return 1;
	now = crowd(w, uid);
	if (now.of_user >= PER_USER)
		why = "too many connections of this user";
	else if (now.of_all >= set->workers * CLIENTS_MAX / USERS_PART)
		why = "too many connections of all users";
	if (why) {
		refuse(c, QUEUE_DEFERRED, why);
		/* closing with its request unread would take the answer back */
		packet_recv(c->sock, record, sizeof record, &n, 0);
		return 0;
	}
	*uid_slot(w, c) = uid + 1;
	return 1;
}

static void
welcome(struct worker *w)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct timespec breath = { 0, 50000000 };
	struct client *c = free_slot(w);
	int sock = accept4(w->listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (sock == -1) {
		/* out of descriptors or memory: do not run in circles */
		if (errno != EAGAIN && errno != ECONNABORTED)
			nanosleep(&breath, 0);
		return;
	}
	*c = (struct client){ .sock = sock, .in = INCOMING_ZERO };
	e.data.ptr = c;
	if (packet_peer(sock, &c->from.pid, &c->from.uid) == -1 ||
	    !admit(w, c) ||
	    epoll_ctl(w->clients, EPOLL_CTL_ADD, sock, &e) == -1) {
		*uid_slot(w, c) = 0;
		close(sock);
		return;
	}
	c->since = clock_ms();
	w->quiet = 0;
	enter(w, c, FRESH);
	hear(w, c);
}

/* Bytes go into the file behind our back: its time says when. */
static int
still_writes(struct client *c)
{
	struct stat s;

	return c->state == WRITING && fstat(c->in.fd, &s) == 0 &&
	    time(0) - s.st_mtime < IDLE_WRITING / 1000;
}

static uint64_t
patience(struct client const *c)
{
	switch (c->state) {
	case FRESH:
		return IDLE_FRESH;
	case KEPT:
		return IDLE_KEPT;
	case WRITING:
		return IDLE_WRITING;
	default:
		return UINT64_MAX;
	}
}

static void
sweep(struct worker *w)
{
	uint64_t now = clock_ms();
	struct client *c;
	unsigned int i;

	if (now - w->swept < SWEEP)
		return;
	w->swept = now;
	for (i = 0; i < CLIENTS_MAX; i++) {
		c = &w->client[i];
		if (c->state == FREE || now - c->since < patience(c) ||
		    still_writes(c))
			continue;
		if (c->state != KEPT)
			complain(c, "client dropped", "idle for too long");
		drop(w, c);
	}
}

/* ---- the loop */

/* A commit blocks this worker for the time of a sync.  So while it has a
 * client in hand it leaves new ones to others, unless nothing happened for a
 * moment: a slow client must not hold the worker either.
 */
static int
may_listen(struct worker const *w)
{
	return !w->drain && w->count < CLIENTS_MAX && (!w->busy || w->quiet);
}

static int
wait_time(struct worker const *w, int listening)
{
	if (w->drain)
		return BUSY;
	if (!listening && w->count < CLIENTS_MAX)
		return BUSY;
	return w->count ? SWEEP : -1;
}

static void
take_signals(struct worker *w)
{
	struct signalfd_siginfo s;
	char const *file;

	while (read(w->signals, &s, sizeof s) == sizeof s) {
		if (s.ssi_signo == SIGTERM && !w->drain)
			w->drain = clock_ms() + DRAIN;
		if (s.ssi_signo != SIGHUP || fchdir(w->home) == -1)
			continue;
		if (settings_read(&w->st->set, &file) == -1)
			strerr_warnwu2sys("read ", file);
		if (chdir("queue") == -1)
			bug("no way back into the queue directory");
	}
}

static void
hear_clients(struct worker *w, int timeout)
{
	struct epoll_event e[EVENTS];
	int i, n = epoll_wait(w->clients, e, EVENTS, timeout);

	w->quiet = n == 0;
	for (i = 0; i < n; i++) {
		if (!e[i].data.ptr)
			take_signals(w);
		else
			hear(w, e[i].data.ptr);
	}
}

static void
turn(struct worker *w)
{
	struct epoll_event e[2];
	int i, n, listening = may_listen(w);

	if (!listening) {
		hear_clients(w, wait_time(w, 0));
		return;
	}
	n = epoll_wait(w->all, e, 2, wait_time(w, 1));
	for (i = 0; i < n; i++) {
		/* nobody else was woken for a new client: take it, even if
		 * another came back at the same moment */
		if (e[i].data.fd == w->clients)
			hear_clients(w, 0);
		else if (!w->drain && w->count < CLIENTS_MAX)
			welcome(w);
	}
}

/* Nothing in hand, or no more time for it. */
static int
finished(struct worker const *w)
{
	unsigned int i;

	if (!w->drain)
		return 0;
	if (clock_ms() >= w->drain)
		return 1;
	for (i = 0; i < CLIENTS_MAX; i++)
		if (w->client[i].state == WRITING)
			return 0;
	return w->quiet;
}

static int
watch(int epoll, int fd, void *ptr)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = ptr };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static int
watch_all(struct worker *w)
{
	struct epoll_event e = { .events = EPOLLIN };

	e.data.fd = w->clients;
	if (epoll_ctl(w->all, EPOLL_CTL_ADD, w->clients, &e) == -1)
		return -1;
	/* one connection wakes one worker */
	e.events = EPOLLIN | EPOLLEXCLUSIVE;
	e.data.fd = w->listener;
	return epoll_ctl(w->all, EPOLL_CTL_ADD, w->listener, &e);
}

int
worker_run(struct store *st, int listener, int home)
{
	struct worker *w = &worker;
	sigset_t mask;
	unsigned int i;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	w->st = st;
	w->listener = listener;
	w->home = home;
	w->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	w->clients = epoll_create1(EPOLL_CLOEXEC);
	w->all = epoll_create1(EPOLL_CLOEXEC);
	if (w->signals == -1 || w->clients == -1 || w->all == -1 ||
	    watch(w->clients, w->signals, 0) == -1 || watch_all(w) == -1) {
		log_start("fatal", "unable to wait for clients");
		log_errno(errno);
		log_end();
		return EXIT_TEMP;
	}
	while (!finished(w)) {
		turn(w);
		if (w->count)
			sweep(w);
	}
	for (i = 0; i < CLIENTS_MAX; i++)
		if (w->client[i].state != FREE)
			drop(w, &w->client[i]);
	return EXIT_DONE;
}
