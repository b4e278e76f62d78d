#include "remote/relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/job.h"
#include "remote/deadhosts.h"
#include "lib/dial.h"
#include "remote/transaction.h"

enum {
	TRYING = 900,		/* seconds, before no further host is tried */
	HANDSHAKE = 120		/* seconds, at most, or timeoutremote */
};

static int
socket_early(struct server *s)
{
	struct pollfd p = { s->io.in, POLLIN, 0 };

	return poll(&p, 1, 0) > 0;
}

/* tlsconnect ends when it has sent what it was given.  Nobody waits for that,
 * but when it is still there as the next one goes, it has had its time.
 */
static void
reap(pid_t pid)
{
	static pid_t before;
	int status;

	if (before) {
		kill(before, SIGKILL);
		while (waitpid(before, &status, 0) == -1 && errno == EINTR)
			;
	}
	before = pid;
}

static void
drop(struct relay *r)
{
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
	if (r->tls_pid)
		reap(r->tls_pid);
	r->tls_pid = 0;
}

/* Nobody waits for the answer to QUIT: it decides nothing. */
void
relay_end(struct relay *r)
{
	if (r->fd != -1) {
		server_limit(&r->server, 1);
		server_patience(&r->server);
		if (server_command(&r->server, "QUIT") == 1)
			io_flush(&r->server.io);
	}
	drop(r);
}

static void
read_failed(struct relay *r, int got, char const *file)
{
	report_temp(&r->report, "Unable to read control files. (#4.3.0)\n",
	    file, ": ", got == 0 ? "no host name in it" : strerror(errno),
	    "\n");
}

/* Which way the message goes.  1; 0 the report says what is wrong. */
static int
choose_route(struct relay *r, char const *domain, char const *sender)
{
	struct settings *s = &r->settings;
	char const *file;
	int got = settings_read(s, clock_seconds(), &file);

	if (got != 1) {
		read_failed(r, got, file);
		return 0;
	}
	file = "control/authsenders";
	got = smtproutes_sender(&s->authsenders, sender, strlen(sender),
	    &r->route);
	if (got == 0) {
		file = "control/smtproutes";
		got = smtproutes_find(&s->smtproutes, domain, strlen(domain),
		    &r->route);
	}
	if (got == -1) {
		report_temp(&r->report, "The line for this message in ", file,
		    " is malformed. (#4.3.5)\n");
		return 0;
	}
	return 1;
}

/* Two messages with the same key may share a connection. */
static int
make_key(struct relay *r, char const *domain, char const *sender,
    stralloc *key)
{
	static struct ipaddr const none = { { 0 } };
	struct smtproute const *w = &r->route;
	struct ipaddr from[2] = { none, none };

	settings_outgoing(&r->settings, sender, 0, &from[0]);
	settings_outgoing(&r->settings, sender, 1, &from[1]);
	key->len = 0;
	return job_puts(key, r->settings.helo.s) == 1 &&
	    job_put(key, w->relay, w->relay_len) == 1 &&
	    job_puts(key, w->relay_len ? "" : domain) == 1 &&
	    job_number(key, w->port) == 1 &&
	    job_put(key, w->user, w->user_len) == 1 &&
	    job_put(key, w->password, w->password_len) == 1 &&
	    job_number(key, w->policy) == 1 &&
	    job_put(key, w->tls, w->tls_len) == 1 &&
	    job_put(key, (char const *)from, sizeof from) == 1 ? 1 : -1;
}

/* Does the connection go there, and is it good for another message? */
static int
may_reuse(struct relay *r, stralloc const *key)
{
	return r->fd != -1 && r->key.len == key->len &&
	    !memcmp(r->key.s, key->s, key->len) &&
	    clock_seconds() - r->opened < r->settings.seconds &&
	    !io_pending(&r->server.io) && !socket_early(&r->server);
}

/* 1, 0: the report says what became of it; -1 nothing was sent: somewhere
 * else, then.  What breaks in the middle of a message would break at the next
 * host too, unless the connection was an old one.
 */
static int
send_it(struct relay *r, char const *sender)
{
	struct mail m = { sender, &r->content, r->route.policy, &r->report, 0 };
	int got = transaction(&r->server, &m);

	if (got == -1 && m.begun && !r->messages) {
		drop(r);
		return 0;
	}
	r->messages++;
	if (got != 1)
		drop(r);
	else if (r->messages >= r->settings.messages)
		relay_end(r);
	return got;
}

static int
is_loopback(struct ipaddr const *a)
{
	static struct ipaddr const six = { { [15] = 1 } };

	return ipaddr_is4(a) ? a->b[12] == 127 : !memcmp(a, &six, sizeof six);
}

static void
set_how(struct server *s, char const *before, char const *result)
{
	size_t n = strlen(before), k = strlen(result);

	memcpy(s->how, before, n);
	memcpy(s->how + n, result, k + 1);
}

/* From here on tlsconnect has the connection, and we the clear side. */
static int
start_tls(struct server *s, struct report *p)
{
	struct relay *r = s->io.ctx;
	unsigned int most = s->patience < HANDSHAKE ? s->patience : HANDSHAKE;
	char result[TLS_RESULT];
	int fd = tls_start(&r->tls, r->fd, most, &r->tls_pid);

	if (fd == -1) {
		report_temp(p, "Unable to run tlsconnect. (#4.3.0)\n");
		return 0;
	}
	close(r->fd);
	r->fd = fd;
	io_init(&s->io, fd, fd);
	s->io.ctx = r;
	server_patience(s);
	if (tls_result(&s->io, result) != 1) {
		report_temp(p, "Connected to ", s->name, " but TLS failed: ",
		    result, ". (#4.7.5)\n");
		set_how(s, "Not encrypted, for TLS failed: ", result);
		return 0;
	}
	set_how(s, "Encrypted: ", result);
	return 1;
}

/* 1; 0 no connection, for errno */
static int
connect_to(struct relay *r, struct ipaddr const *ip, char const *sender)
{
	struct settings *s = &r->settings;
	struct ipaddr from;
	int bound = settings_outgoing(s, sender, ipaddr_is4(ip), &from);

	r->fd = dial(ip, r->route.port, bound == 1 ? &from : 0, s->connect);
	if (r->fd == -1) {
		if (errno == ETIMEDOUT)
			deadhosts_failed(ip);
		return 0;
	}
	deadhosts_answered(ip);
	io_init(&r->server.io, r->fd, r->fd);
	r->server.io.ctx = r;
	r->server.early = socket_early;
	r->server.encrypt = start_tls;
	r->server.tls = &r->tls;
	r->server.patience = s->patience;
	r->server.secure = is_loopback(ip);
	server_limit(&r->server, 2 * (uint64_t)s->patience);
	r->opened = clock_seconds();
	r->messages = 0;
	return 1;
}

/* RFC 8461 4.1, and 2: what DNS says, goes before. */
static int
sts_allows(struct relay *r, struct host const *h)
{
	if (!r->sts_binds || h->of->dane || stspolicy_names(&r->sts,
	    h->of->name))
		return 1;
	report_temp(&r->report, "Not sent to ", r->server.name, ": the domain "
	    "does not name ", h->of->name, " in its MTA-STS policy. "
	    "(#4.7.5)\n");
	return 0;
}

/* 1 the server takes mail; 0 another may do; -1 none should be tried. */
static int
open_host(struct relay *r, struct host const *h, char const *sender)
{
	struct tls_peer peer = { &r->route, h->of, r->server.name, r->domain,
	    is_loopback(&h->ip), r->sts_binds };
	int got;

	ipaddr_fmt(r->server.name, &h->ip);
	r->server.how[0] = 0;
	if (!sts_allows(r, h) || tls_wish(&r->tls, &peer, &r->report) != 1)
		return 0;
	for (;;) {
		if (connect_to(r, &h->ip, sender) != 1)
			return 0;
		got = server_ready(&r->server, r->settings.helo.s, &r->route,
		    &r->report);
		if (got == 1)
			return 1;
		relay_end(r);
		if (!r->server.tls_failed || r->tls.level != TLS_MAY)
			return got;
		/* such a server gets it in the clear */
		r->tls.level = TLS_NO;
		report_clear(&r->report);
	}
}

/* One address after the other, until the message is off our hands. */
static void
try_hosts(struct relay *r, char const *sender)
{
	uint64_t start = clock_seconds();
	size_t i;
	int got, e = 0;
	char text[IPADDR_FMT] = "";

	for (i = 0; i < r->hosts.n && clock_seconds() - start < TRYING; i++) {
		if (deadhosts_skip(&r->hosts.at[i].ip))
			continue;
		errno = 0;
		got = open_host(r, &r->hosts.at[i], sender);
		if (got == 0 && !r->report.letter) {
			e = errno;
			ipaddr_fmt(text, &r->hosts.at[i].ip);
		}
		if (got == -1 || (got == 1 && send_it(r, sender) != -1))
			return;
	}
	if (!r->report.letter)
		report_temp(&r->report, "Sorry, I wasn't able to establish an "
		    "SMTP connection. (#4.4.1)\n", text, e ? ": " : "",
		    e ? strerror(e) : "It has not answered for a while, and "
		    "is left alone for now", ".\n");
}

/* A domain's own policy is about its own exchangers. */
static void
find_sts(struct relay *r, char const *domain)
{
	r->sts_binds = r->settings.mtasts && !r->route.relay_len &&
	    *r->hosts.at->of->name && tls_asks_dane(&r->route) &&
	    sts_find(&r->sts, domain);
}

void
relay_message(struct relay *r, char const *domain, char const *sender)
{
	stralloc key = STRALLOC_ZERO;

	report_clear(&r->report);
	if (!choose_route(r, domain, sender))
		return;
	if (make_key(r, domain, sender, &key) == -1) {
		report_temp(&r->report, "Out of memory. (#4.3.0)\n");
	} else if (!may_reuse(r, &key) || send_it(r, sender) == -1) {
		report_clear(&r->report);
		relay_end(r);
		stralloc_free(&r->key);
		r->key = key;
		r->domain = domain;
		if (hosts_find(&r->hosts, &r->settings, domain, &r->route,
		    &r->report) == 1) {
			find_sts(r, domain);
			try_hosts(r, sender);
		}
		return;
	}
	stralloc_free(&key);
}
