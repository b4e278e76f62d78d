#include "rules/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/selfpipe.h>
#include <skalibs/types.h>

#include "lib/clock.h"
#include "rules/balancers.h"
#include "rules/children.h"
#include "rules/connenv.h"
#include "rules/connlog.h"
#include "rules/launch.h"
#include "rules/rule.h"

enum { PAUSE = 1000 };		/* ms, where the machine has run short */

/* Waits for its greeting delay to end. */
struct waiting {
	struct connection c;
	struct peers_place place;
	uint64_t due;
};

static struct {
	struct server *config;
	unsigned int children, waiting;
	struct waiting *wait;
	uint64_t next_due;	/* the earliest of them */
	uint64_t pause;		/* no accept before */
	uint64_t stop;		/* 0: SIGTERM has not come; else end of grace */
	unsigned long accepted, refused;
	uint64_t now;
	struct pollfd *poll;	/* signals, listeners, balancers */
	int signals;
	pid_t self;
} state;

static unsigned int
connections(void)
{
	return state.children + state.waiting + balancers_waiting();
}

static void
log_status(void)
{
	connlog_status(connections(), state.config->limit);
}

/* What the client has sent already is read first: closing a socket with
 * unread bytes resets the connection, and the line would be lost. */
static void
refuse(struct connection *c, char const *reason, char const *line)
{
	char unread[512];

	state.refused++;
	connlog_deny(c, reason);
	if (line) {
		send(c->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
		shutdown(c->fd, SHUT_WR);
		while (recv(c->fd, unread, sizeof unread, MSG_DONTWAIT) ==
		    sizeof unread)
			continue;
	}
	close(c->fd);
}

/* Without memory or processes we rest; a program that cannot be executed is
 * for the administrator to mend, and clients are let go at once. */
static void
spawn_trouble(int e)
{
	errno = e;
	connlog_trouble(state.now, "run ", state.config->argv[0]);
	if (e == EAGAIN || e == ENOMEM || e == EMFILE || e == ENFILE)
		state.pause = state.now + PAUSE;
}

static int
is_empty(char const *file)
{
	struct stat st;

	return stat(file, &st) == -1 ? errno == ENOENT : st.st_size == 0;
}

/* The client has been admitted; r may be 0. */
static void
start(struct connection *c, struct rule const *r,
    struct peers_place const *place)
{
	struct server const *s = state.config;
	struct launch *l = launch_slot();
	pid_t pid = -1;

	if (connenv_build(&l->env, c, r) == 1)
		pid = launch_start(l, s->optional && is_empty(s->optional),
		    c->fd);
	else
		errno = ENOMEM;
	if (pid == -1) {
		spawn_trouble(errno);
		peers_release(place);
		refuse(c, "trouble", s->refusal.busy);
		return;
	}
	children_add(pid, place);
	state.children++;
	log_status();
	connlog_ok(pid, c);
	close(c->fd);
}

static char const *const reasons[] = {
	[PEERS_ADDRESS] = "connections of address",
	[PEERS_NETWORK] = "connections of network",
	[PEERS_ADDRESS_RATE] = "rate of address",
	[PEERS_NETWORK_RATE] = "rate of network"
};

static void
wait_first(struct connection const *c, struct peers_place const *place,
    unsigned int delay)
{
	struct waiting *w = state.wait + state.waiting++;

	w->c = *c;
	w->place = *place;
	w->due = state.now + delay * UINT64_C(1000);
	if (state.waiting == 1 || w->due < state.next_due)
		state.next_due = w->due;
}

/* Says what the rules say, and refuses what they do not allow.  1, 0 */
static int
allowed(struct connection *c, struct judgement *j)
{
	int r = judge_client(&state.config->judge, c, state.now, j);

	if (r == -1)
		refuse(c, "rules", state.config->refusal.busy);
	else if (r == 0)
		refuse(c, "rule", state.config->refusal.denied);
	return r == 1;
}

static void
admit(struct connection *c)
{
	struct peers_place place;
	struct judgement j;
	enum peers_verdict v;

	if (!allowed(c, &j))
		return;
	v = peers_admit(&c->remote, &j.limits, state.now, &place);
	if (v != PEERS_OK)
		refuse(c, reasons[v], state.config->refusal.busy);
	else if (j.greet_delay)
		wait_first(c, &place, j.greet_delay);
	else
		start(c, j.ruled ? &j.rule : 0, &place);
}

/* The rules are asked again: their map may be another one by now. */
static void
end_of_delay(struct waiting *w)
{
	struct judgement j;

	if (allowed(&w->c, &j))
		start(&w->c, j.ruled ? &j.rule : 0, &w->place);
	else
		peers_release(&w->place);
}

static void
serve_waiting(void)
{
	unsigned int i = 0;
	struct waiting w;

	if (!state.waiting || state.now < state.next_due)
		return;
	state.next_due = UINT64_MAX;
	while (i < state.waiting) {
		w = state.wait[i];
		if (w.due > state.now) {
			if (w.due < state.next_due)
				state.next_due = w.due;
			i++;
			continue;
		}
		state.wait[i] = state.wait[--state.waiting];
		end_of_delay(&w);
	}
}

static void
name_session(struct connection *c)
{
	char *s = c->session;	/* of the kernel's time come 9 digits, of a
				 * process id 6, of our count 16 */

	s += uint64_xfmt(s, time(0));
	*s++ = '-';
	s += uint64_xfmt(s, state.self);
	*s++ = '.';
	s += uint64_xfmt(s, state.accepted);
	*s = 0;
}

/* 1; 0: the client has gone already */
static int
local_of(struct connection *c, struct listener const *l)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;

	c->local = l->local;
	c->local_port = l->port;
	return !l->wildcard ||
	    (getsockname(c->fd, (struct sockaddr *)&ss, &n) == 0 &&
	    ipaddr_from((struct sockaddr *)&ss, &c->local, &c->local_port));
}

static void
accept_trouble(void)
{
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS &&
	    errno != ENOMEM)
		return;		/* of that one client: it has gone */
	connlog_trouble(state.now, "accept a client", "");
	state.pause = state.now + PAUSE;
}

static void
refuse_balancer(struct connection *c)
{
	refuse(c, "proxy header", 0);
}

static void
accept_client(struct listener const *l)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	struct connection c;

	c.fd = accept4(l->fd, (struct sockaddr *)&ss, &n, SOCK_CLOEXEC);
	if (c.fd == -1) {
		accept_trouble();
		return;
	}
	if (!ipaddr_from((struct sockaddr *)&ss, &c.remote, &c.remote_port) ||
	    !local_of(&c, l)) {
		close(c.fd);
		return;
	}
	c.scope = ss.ss_family == AF_INET6 ?
	    ((struct sockaddr_in6 *)&ss)->sin6_scope_id : 0;
	state.accepted++;
	name_session(&c);
	if (balancers_has(&c))
		balancers_add(&c, state.now);
	else
		admit(&c);
}

static void
reap(void)
{
	struct peers_place place;
	pid_t pid;
	int status, e;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		e = launch_ended(pid);
		if (e)
			spawn_trouble(e);
		if (!children_remove(pid, &place))
			continue;
		peers_release(&place);
		state.children--;
		connlog_end(pid, status);
		log_status();
	}
}

/* SIGUSR1: the state of the limits, whatever the verbosity. */
static void
report(void)
{
	enum { SHOWN = 10 };
	struct peers_busy busy[SHOWN];
	char line[128 + SHOWN * (IPADDR_FMT + 16)], ip[IPADDR_FMT];
	size_t n, i;
	ssize_t r;
	int used;

	used = snprintf(line, sizeof line, "listen: info: connections=%u "
	    "limit=%u waiting=%u accepted=%lu refused=%lu busiest=",
	    connections(), state.config->limit, state.waiting,
	    state.accepted, state.refused);
	n = peers_busiest(busy, SHOWN);
	for (i = 0; i < n; i++) {
		ipaddr_fmt(ip, &busy[i].address);
		used += snprintf(line + used, sizeof line - used, "%s%s*%u",
		    i ? "," : "", ip, busy[i].connections);
	}
	line[used++] = '\n';
	r = write(2, line, used);
	(void)r;
}

static void
stop(void)
{
	unsigned int i;

	if (state.stop)
		state.stop = state.now;	/* the second time: at once */
	else
		state.stop = state.now + state.config->grace * UINT64_C(1000);
	for (i = 0; i < state.config->listeners; i++)
		close(state.config->listener[i].fd);
	state.config->listeners = 0;
}

static void
on_signals(void)
{
	switch (selfpipe_read()) {	/* more of them: in the next turn */
	case SIGCHLD: reap(); break;
	case SIGTERM: stop(); break;
	case SIGUSR1: report(); break;
	}
}

/* For poll: until the first of what is due. */
static int
timeout(int accepting, uint64_t until)
{
	if (!accepting && state.pause > state.now && state.pause < until)
		until = state.pause;
	if (state.waiting && state.next_due < until)
		until = state.next_due;
	if (state.stop && state.stop < until)
		until = state.stop;
	if (until == UINT64_MAX)
		return -1;
	if (until <= state.now)
		return 0;
	return until - state.now > 3600000 ? 3600000 : until - state.now;
}

static int
finished(void)
{
	return state.stop &&
	    (!connections() || state.now >= state.stop);
}

/* One wait, and what came of it. */
static void
turn(void)
{
	struct server *s = state.config;
	struct pollfd *p = state.poll, *clients = p + 1 + s->listeners;
	int accepting = connections() < s->limit && state.now >= state.pause;
	uint64_t until = UINT64_MAX;
	unsigned int i;

	p[0].fd = state.signals;
	p[0].events = POLLIN;
	for (i = 0; i < s->listeners; i++) {
		p[i + 1].fd = accepting ? s->listener[i].fd : -1;
		p[i + 1].events = POLLIN;
	}
	balancers_poll(clients, &until);
	if (poll(p, 1 + s->listeners + balancers_waiting(),
	    timeout(accepting, until)) == -1)
		return;
	state.now = clock_ms();
	if (p[0].revents)	/* first: who has ended makes room */
		on_signals();
	serve_waiting();
	balancers_serve(clients, state.now, admit, refuse_balancer);
	for (i = 0; i < s->listeners; i++)
		if (p[i + 1].revents && connections() < s->limit)
			accept_client(s->listener + i);
	connlog_flush();
}

/* SIGPIPE is ours to ignore: the logger may restart. */
static int
prepare_signals(void)
{
	int signals = selfpipe_init();

	if (signals == -1 || selfpipe_trap(SIGCHLD) == -1 ||
	    selfpipe_trap(SIGTERM) == -1 || selfpipe_trap(SIGUSR1) == -1 ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -1;
	return signals;
}

int
server_init(struct server *s)
{
	state.config = s;
	state.self = getpid();
	launch_init(s->argv, s->shorter, s->refusal.busy);
	state.wait = calloc(s->limit, sizeof *state.wait);
	state.poll = calloc(1 + s->listeners + s->limit, sizeof *state.poll);
	state.signals = prepare_signals();
	return state.signals != -1 && state.wait && state.poll ? 1 : -1;
}

void
server_run(void)
{
	state.now = clock_ms();
	log_status();
	while (!finished())
		turn();
	connlog_flush();
}
