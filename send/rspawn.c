#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "lib/clock.h"
#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/packet.h"
#include "lib/smtproutes.h"
#include "lib/spawn.h"

enum {
	IDLE_SECONDS = 10,	/* a remote is kept without a job */
	JOBS = 1000,		/* then it is replaced: what it leaks, ends */
	CONCURRENCY = 20	/* qmail-send's concurrencyremote */
};

struct worker {
	int sock;		/* -1: this entry is free */
	stralloc key;		/* where its last job went */
	stralloc numbers;	/* of deliveries without an answer; each NUL */
	unsigned int jobs;
	uint64_t idle;		/* since, in seconds */
};

struct spawner {
	struct worker *w;
	size_t n, alive, busy;
	unsigned int most;	/* control/concurrencyremote */
	stralloc smtproutes;
	uint64_t read_at, now;
	int closed;		/* send is gone */
};

extern char **environ;

static void
nomem_if(int bad)
{
	if (bad)
		strerr_diefu1sys(EXIT_TEMP, "allocate memory");
}

/* If send is gone, nobody wants to know.  Otherwise it must not wait for this
 * verdict for ever: it notices when we are gone.
 */
static void
tell(char const *s, size_t n)
{
	if (n && packet_send(0, s, n, -1) == -1 && errno != EPIPE &&
	    errno != ECONNRESET)
		strerr_diefu1sys(EXIT_TEMP, "report to send");
}

/* The same answer for each of the numbers. */
static void
report(stralloc const *numbers, char const *text)
{
	static stralloc out = STRALLOC_ZERO;
	char const *number;
	size_t pos = 0;

	out.len = 0;
	while ((number = job_field(numbers->s, numbers->len, &pos)))
		nomem_if(job_puts(&out, number) == -1 ||
		    job_puts(&out, text) == -1);
	tell(out.s, out.len);
}

/* What decides to which process a job goes, at most once a second; old values
 * stay when there are no new ones to be had.
 */
static void
settings(struct spawner *s)
{
	stralloc list = STRALLOC_ZERO;

	if (s->read_at == s->now)
		return;
	s->read_at = s->now;
	s->most = CONCURRENCY;
	control_uint("control/concurrencyremote", &s->most);
	if (control_list("control/smtproutes", &list) != -1) {
		stralloc_free(&s->smtproutes);
		s->smtproutes = list;
	}
}

/* Domains with the same relay share its connections.  remote looks for itself
 * whether one really serves: this is only about which process to ask.
 */
static void
make_key(struct spawner *s, char const *host, stralloc *key)
{
	struct smtproute r;

	settings(s);
	key->len = 0;
	if (smtproutes_find(&s->smtproutes, host, strlen(host), &r) == 1 &&
	    r.relay_len)
		nomem_if(job_put(key, r.relay, r.relay_len) == -1 ||
		    job_number(key, r.port) == -1);
	else
		nomem_if(job_puts(key, host) == -1);
}

static void
end(struct spawner *s, struct worker *w)
{
	if (w->numbers.len)
		s->busy--;
	w->numbers.len = 0;
	close(w->sock);
	w->sock = -1;
	s->alive--;
}

static struct worker *
free_entry(struct spawner *s)
{
	struct worker *w;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->w[i].sock == -1)
			return &s->w[i];
	w = realloc(s->w, (s->n + 16) * sizeof *w);
	if (!w)
		return 0;
	s->w = w;
	memset(w + s->n, 0, 16 * sizeof *w);
	for (i = 0; i < 16; i++)
		w[s->n + i].sock = -1;
	s->n += 16;
	return &w[s->n - 16];
}

static struct worker *
launch(struct spawner *s)
{
	static char const *const argv[] = { "bin/remote", 0 };
	struct worker *w = free_entry(s);
	struct spawn_fd fds[2] = { { -1, 0 }, { 2, 1 } };
	int pair[2];
	pid_t pid;

	if (!w || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)
	    == -1)
		return 0;
	fds[0].from = pair[1];
	pid = spawn(argv, (char const *const *)environ, fds, 2);
	close(pair[1]);
	if (pid == -1) {
		close(pair[0]);
		return 0;
	}
	w->sock = pair[0];
	w->jobs = 0;
	s->alive++;
	return w;
}

/* One that has nothing to do: whose last job went the same way, or, if other
 * is 1, that has been idle for longest.
 */
static struct worker *
idle_one(struct spawner *s, stralloc const *key, int other)
{
	struct worker *found = 0;
	size_t i;

	for (i = 0; i < s->n; i++) {
		struct worker *w = &s->w[i];

		if (w->sock == -1 || w->numbers.len)
			continue;
		if (!other && w->key.len == key->len &&
		    !memcmp(w->key.s, key->s, key->len))
			return w;
		if (other && (!found || w->idle < found->idle))
			found = w;
	}
	return found;
}

/* The same host first, a new process next, another host's last: also when no
 * process can be made.
 */
static struct worker *
choose(struct spawner *s, stralloc const *key)
{
	struct worker *w = idle_one(s, key, 0);

	if (!w && s->alive < s->most)
		w = launch(s);
	if (!w)
		w = idle_one(s, key, 1);
	/* more are at work than there may be, since the number was lowered;
	 * and send knows its limit */
	return w || s->alive < s->most ? w : launch(s);
}

static int
give(struct spawner *s, struct worker *w, char const *packet, size_t n,
    int fd, stralloc const *numbers, stralloc const *key)
{
	if (packet_send(w->sock, packet, n, fd) == -1) {
		end(s, w);
		return -1;
	}
	nomem_if(!stralloc_copy(&w->numbers, numbers) ||
	    !stralloc_copy(&w->key, key));
	w->jobs++;
	s->busy++;
	return 1;
}

/* One packet of send's, which goes on as it is. */
static void
take_job(struct spawner *s, char const *packet, size_t n, int fd)
{
	static stralloc numbers = STRALLOC_ZERO, key = STRALLOC_ZERO;
	char const *host, *number;
	struct worker *w;
	size_t pos = 0;

	numbers.len = 0;
	job_field(packet, n, &pos);
	job_field(packet, n, &pos);
	host = job_field(packet, n, &pos);
	while ((number = job_field(packet, n, &pos))) {
		nomem_if(job_puts(&numbers, number) == -1);
		if (!job_field(packet, n, &pos))
			pos = 0;
		if (!pos)
			break;
	}
	if (!host || !numbers.len || pos != n || fd == -1)
		strerr_dief1x(EXIT_PERM, "send's packet is malformed");
	make_key(s, host, &key);
	/* an idle one may have died: then the next, or a new one */
	while ((w = choose(s, &key)))
		if (give(s, w, packet, n, fd, &numbers, &key) == 1)
			return;
	report(&numbers, "ZUnable to run remote. (#4.3.0)\n");
}

static void
read_jobs(struct spawner *s)
{
	static char packet[LIMIT_PACKET];
	size_t n;
	int fd, r = packet_recv(0, packet, sizeof packet, &n, &fd);

	if (r == 1)
		take_job(s, packet, n, fd);
	else
		s->closed = 1;
	if (r == 1 && fd != -1)
		close(fd);
}

/* Takes a number off the list.  1; 0: it is not on it. */
static int
cross_out(stralloc *numbers, char const *number)
{
	size_t pos = 0, at = 0;
	char const *one;

	while ((one = job_field(numbers->s, numbers->len, &pos))) {
		if (!strcmp(one, number)) {
			memmove(numbers->s + at, numbers->s + pos,
			    numbers->len - pos);
			numbers->len -= pos - at;
			return 1;
		}
		at = pos;
	}
	return 0;
}

/* remote talks to strangers: what it says is passed on only if it is about
 * deliveries that it was given.  1; 0: it is not.
 */
static int
pass_on(struct worker *w, char const *packet, size_t n)
{
	char const *number, *text;
	size_t pos = 0, good = 0;

	while (pos < n) {
		number = job_field(packet, n, &pos);
		text = number ? job_field(packet, n, &pos) : 0;
		if (!text || !*text || !strchr("KZDC", *text) ||
		    !cross_out(&w->numbers, number))
			break;
		good = pos;
	}
	tell(packet, good);
	return good == n;
}

static void
fail(struct spawner *s, struct worker *w, char const *text)
{
	report(&w->numbers, text);
	end(s, w);
}

static void
read_answer(struct spawner *s, struct worker *w)
{
	static char packet[LIMIT_PACKET];
	size_t n, before = w->numbers.len;
	int r = packet_recv(w->sock, packet, sizeof packet, &n, 0);

	if (r == 0 || (r == -1 && errno != EMSGSIZE)) {
		fail(s, w, "Zremote crashed. (#4.3.0)\n");
		return;
	}
	if (r == -1 || !before) {	/* it was not even asked */
		fail(s, w, "Zremote's report is malformed. (#4.3.0)\n");
		return;
	}
	r = pass_on(w, packet, n);
	if (!w->numbers.len) {
		s->busy--;
		w->idle = s->now;
	}
	if (!r)
		fail(s, w, "Zremote's report is malformed. (#4.3.0)\n");
	else if (!w->numbers.len && w->jobs >= JOBS)
		end(s, w);
}

static void
tidy(struct spawner *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		struct worker *w = &s->w[i];

		if (w->sock != -1 && !w->numbers.len &&
		    (s->closed || s->now - w->idle > IDLE_SECONDS))
			end(s, w);
	}
}

/* Grows as the workers do. */
static struct pollfd *
poll_room(size_t n)
{
	static struct pollfd *p;
	static size_t room;

	if (n > room) {
		free(p);
		p = malloc(n * 2 * sizeof *p);
		nomem_if(!p);
		room = n * 2;
	}
	return p;
}

static void
loop(struct spawner *s)
{
	struct pollfd *p;
	size_t i, n;

	while (!s->closed || s->busy) {
		n = s->n;
		p = poll_room(n + 1);
		p[n].fd = s->closed ? -1 : 0;
		for (i = 0; i < n; i++)
			p[i].fd = s->w[i].sock;
		for (i = 0; i <= n; i++)
			p[i].events = POLLIN;
		if (poll(p, n + 1, IDLE_SECONDS * 1000) == -1) {
			if (errno == EINTR)
				continue;
			strerr_diefu1sys(EXIT_TEMP, "poll");
		}
		s->now = clock_seconds();
		for (i = 0; i < n; i++)
			if (p[i].revents)
				read_answer(s, &s->w[i]);
		if (p[n].revents)
			read_jobs(s);
		tidy(s);
	}
}

/* rspawn: has messages delivered to other hosts, for send: keeps remotes at
 * work, each with its connection.
 *
 * Runs as:    remote, started by start
 * Reads:      descriptor 0: jobs of send's, with the message, which it passes
 *             on; control/concurrencyremote, control/smtproutes
 * Writes:     to send: verdicts
 * Trusts:     send; a remote only about the deliveries that it was given
 * Trusted by: send
 */
int
main(void)
{
	static struct spawner s;

	PROG = "rspawn";
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "chdir to ", home_path());
	/* ignored, children leave nothing behind */
	if (!sig_ignore(SIGPIPE) || !sig_ignore(SIGCHLD))
		strerr_diefu1sys(EXIT_TEMP, "ignore signals");
	loop(&s);
	return EXIT_DONE;
}
