#include "tls/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "lib/signalpipe.h"

enum {
	EVENTS = 64,		/* in one turn */
	OWN_FDS = 16,
	FDS_EACH = 3,		/* of an offer */
	TICK = 1000		/* deadlines are looked after so often */
};

/* The descriptor that a SIGHUP is to be read from. */
static int
prepare_signals(void)
{
	static int const hup = SIGHUP;
	int fd = signalpipe_open(&hup, 1);

	if (fd == -1)
		log_die(EXIT_TEMP, "unable to make a pipe", 0);
	signal(SIGTERM, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	return fd;
}

/* What OpenSSL, malloc and the loop need; every other call kills. */
static void
narrow(void)
{
	static int const calls[] = {
#ifdef SYS_epoll_wait
		SYS_epoll_wait,
#endif
		SYS_epoll_pwait, SYS_epoll_ctl, SYS_accept4, SYS_recvmsg,
		SYS_recvfrom, SYS_sendto, SYS_shutdown, SYS_getsockopt,
		SYS_setsockopt, SYS_fcntl, SYS_getrandom, SYS_getpid,
		SYS_gettid, SYS_futex, SYS_rt_sigprocmask, SYS_gettimeofday,
#ifdef SYS_time
		SYS_time,
#endif
		SYS_clock_getres
	};

	if (sandbox_only(calls, sizeof calls / sizeof *calls) == -1)
		log_die(EXIT_TEMP, "unable to restrict system calls", 0);
}

static unsigned int
most_offers(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == -1 || l.rlim_cur <= OWN_FDS)
		return 1;
	if (l.rlim_cur > 1 << 20)
		l.rlim_cur = 1 << 20;
	return (unsigned int)(l.rlim_cur - OWN_FDS) / FDS_EACH;
}

static int
add(int epoll, int fd, uint32_t events, void *what)
{
	struct epoll_event e = { .events = events, .data.ptr = what };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static void
set_up(struct worker *w, struct conns *c)
{
	int signals = prepare_signals();

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	c->server = w->keys->each[0];
	c->room = w->room;
	w->room->offers = most_offers();
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	/* a process that is busy is passed over, of the others one is woken */
	if (keys_tickets(w->keys, w->tickets) == -1)
		log_die(EXIT_TEMP, "unable to set the keys of tickets", 0);
	if (c->epoll == -1 || add(c->epoll, signals, EPOLLIN, w) == -1 ||
	    add(c->epoll, w->listener, EPOLLIN | EPOLLEXCLUSIVE, 0) == -1)
		log_die(EXIT_TEMP, "unable to prepare for events", 0);
}

/* No new connections; those that are here stay. */
static void
drain(struct worker *w, struct conns *c)
{
	while (signalpipe_next())
		;
	if (w->listener == -1)
		return;
	epoll_ctl(c->epoll, EPOLL_CTL_DEL, w->listener, 0);
	close(w->listener);
	w->listener = -1;
}

static void
look_at_clock(struct worker *w, struct conns *c)
{
	c->now = clock_ms();
	if (tickets_advance(w->tickets, c->now / 1000) == 1 &&
	    keys_tickets(w->keys, w->tickets) == -1)
		log_die(EXIT_TEMP, "unable to renew the keys of tickets", 0);
}

static void
turn(struct worker *w, struct conns *c)
{
	struct epoll_event e[EVENTS];
	int timeout = c->more ? 0 : c->timed ? TICK : TICKETS_PERIOD * 1000;
	int n = epoll_wait(c->epoll, e, EVENTS, timeout);
	int i;

	if (n == -1 && errno != EINTR)
		log_die(EXIT_TEMP, "unable to wait for events", 0);
	look_at_clock(w, c);
	for (i = 0; i < n; i++) {
		if (!e[i].data.ptr)
			conn_accept(c, w->listener);
		else if (e[i].data.ptr == w)
			drain(w, c);
		else
			conn_event(c, e[i].data.ptr, e[i].events);
	}
}

void
worker_run(struct worker *w, pid_t parent)
{
	static struct conns c;
	uint64_t last = 0;

	set_up(w, &c);
	if (getppid() != parent)
		_exit(EXIT_TEMP);
	narrow();
	while (w->listener != -1 || c.count) {
		turn(w, &c);
		if (c.now >= last + TICK) {
			conn_expire(&c);
			last = c.now;
		}
		conn_more(&c);
		conn_bury(&c);
	}
	_exit(EXIT_DONE);
}
