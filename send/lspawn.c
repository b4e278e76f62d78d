#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/selfpipe.h>
#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "lib/assign.h"
#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/packet.h"
#include "lib/role.h"
#include "lib/smtpaddress.h"
#include "send/pool.h"

enum {
	RECORD = 4096,		/* what getpw may print */
	LOOKUP_SECONDS = 60,	/* before getpw is killed */
	DEFAULT_MAX = 8192,	/* control/defaultdelivery */
	EVENTS = 64
};

struct request {
	uint64_t number;
	int fd;			/* the message */
	stralloc local, host, sender;
};

struct lookup {			/* bin/getpw at work for a request */
	struct lookup *next;
	pid_t pid;		/* 0: it has ended, with that status */
	int status;
	int out;		/* -1: it has closed it */
	uint64_t until;
	struct request r;
	size_t n;
	char record[RECORD];
};

struct spawner {
	struct pool pool;
	struct lookup *lookups;
	struct role nobody;	/* whom getpw runs as */
	stralloc defaultdelivery;
	int given;		/* as an argument: not read from control/ */
	uint64_t read_at, now;
	int signals;
	int closed;		/* send is gone */
};

static int
watch(struct spawner *s, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(s->pool.wake, EPOLL_CTL_ADD, fd, &e);
}

/* To close it is not enough: a child may still have it, until its exec. */
static void
unwatch(struct spawner *s, int fd)
{
	epoll_ctl(s->pool.wake, EPOLL_CTL_DEL, fd, 0);
}

static void
report(uint64_t number, char const *text)
{
	static stralloc packet = STRALLOC_ZERO;

	packet.len = 0;
	if (job_number(&packet, number) == -1 ||
	    job_puts(&packet, text) == -1)
		strerr_diefu1sys(EXIT_TEMP, "allocate memory");
	/* If send is gone, nobody wants to know.  Otherwise it must not wait
	 * for this verdict for ever: it notices when we are gone.
	 */
	if (packet_send(0, packet.s, packet.len, -1) == -1 &&
	    errno != EPIPE && errno != ECONNRESET)
		strerr_diefu1sys(EXIT_TEMP, "report to send");
}

static void
request_end(struct request *r)
{
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
	stralloc_free(&r->local);
	stralloc_free(&r->host);
	stralloc_free(&r->sender);
}

static void
refuse(struct request *r, char const *text)
{
	report(r->number, text);
	request_end(r);
}

/* control/defaultdelivery, at most once a second; the old value stays when it
 * cannot be read.
 */
static void
default_delivery(struct spawner *s)
{
	stralloc text = STRALLOC_ZERO;

	if (s->given || (s->read_at == s->now && s->defaultdelivery.len))
		return;
	s->read_at = s->now;
	if (openslurpclose(&text, "control/defaultdelivery")) {
		while (text.len && memchr(" \t\r\n", text.s[text.len - 1], 4))
			text.len--;
		if (text.len > DEFAULT_MAX || memchr(text.s, 0, text.len))
			text.len = 0;
	} else if (errno != ENOENT && s->defaultdelivery.len) {
		return;
	}
	if (!text.len && !stralloc_cats(&text, "./Maildir/"))
		strerr_diefu1sys(EXIT_TEMP, "allocate memory");
	if (!stralloc_copy(&s->defaultdelivery, &text))
		strerr_diefu1sys(EXIT_TEMP, "allocate memory");
	stralloc_free(&text);
}

/* The packet for local, and the key of its worker: one works for one user in
 * one home, so that it may lock itself into it.
 */
static int
build(struct spawner *s, struct request *r, struct assign const *a,
    stralloc *key, stralloc *packet)
{
	key->len = packet->len = 0;
	return job_puts(key, a->user) == 1 && job_puts(key, a->home) == 1 &&
	    job_puts(packet, a->user) == 1 && job_puts(packet, a->home) == 1 &&
	    job_put(packet, r->local.s, r->local.len) == 1 &&
	    job_puts(packet, a->dash) == 1 && job_puts(packet, a->ext) == 1 &&
	    job_put(packet, r->host.s, r->host.len) == 1 &&
	    job_put(packet, r->sender.s, r->sender.len) == 1 &&
	    job_put(packet, s->defaultdelivery.s, s->defaultdelivery.len) == 1 ?
	    1 : -1;
}

static void
deliver_as(struct spawner *s, struct request *r, struct assign const *a)
{
	static stralloc key = STRALLOC_ZERO, packet = STRALLOC_ZERO;
	struct role as = { a->uid, a->gid };

	if (a->uid == 0) {
		/* as qmail-lspawn: whoever wrote that may mend it */
		refuse(r, "ZNot allowed to perform deliveries as root. "
		    "(#4.7.0)\n");
		return;
	}
	default_delivery(s);
	if (build(s, r, a, &key, &packet) == -1)
		refuse(r, "ZOut of memory. (#4.3.0)\n");
	else if (pool_give(&s->pool, &as, &key, &packet, r->fd, r->number)
	    == -1)
		refuse(r, "ZUnable to run local. (#4.3.0)\n");
	else
		request_end(r);
}

static void
getpw_child(struct role const *as, char const *local, int out)
{
	char const *argv[] = { "bin/getpw", local, 0 };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, 0);
	if (dup2(out, 1) != -1 && close(0) == 0 &&
	    open("/dev/null", O_RDONLY) == 0 && role_become(as) == 1)
		execv(argv[0], (char *const *)argv);
	_exit(EXIT_TEMP);
}

/* No record in users/cdb: the system's users are asked, by a program, for
 * that takes the C library's modules, and not as root.
 */
static void
ask_getpw(struct spawner *s, struct request *r)
{
	struct lookup *l = calloc(1, sizeof *l);
	int fd[2];

	if (!l || !stralloc_0(&r->local) ||
	    pipe2(fd, O_CLOEXEC) == -1) {
		free(l);
		refuse(r, "ZUnable to look up the user. (#4.3.0)\n");
		return;
	}
	r->local.len--;
	l->pid = watch(s, fd[0]) == -1 ? -1 : fork();
	if (l->pid == 0)
		getpw_child(&s->nobody, r->local.s, fd[1]);
	close(fd[1]);
	if (l->pid == -1) {
		close(fd[0]);
		free(l);
		refuse(r, "ZUnable to fork. (#4.3.0)\n");
		return;
	}
	l->out = fd[0];
	l->until = s->now + LOOKUP_SECONDS;
	l->r = *r;
	l->next = s->lookups;
	s->lookups = l;
}

static void
look_up(struct spawner *s, struct request *r)
{
	struct assign a = ASSIGN_ZERO;
	int found;

	if (!r->local.len) {	/* as qmail-lspawn */
		refuse(r, "K");
		return;
	}
	found = assign_find(r->local.s, r->local.len, &a);
	if (found == 1)
		deliver_as(s, r, &a);
	else if (found == 0)
		ask_getpw(s, r);
	else
		refuse(r, "ZTrouble reading users/cdb in lspawn. (#4.3.0)\n");
	stralloc_free(&a.sa);
}

/* One packet of send's: id, sender, host (none), then number and recipient,
 * of local ones just one.
 */
static void
take_job(struct spawner *s, char const *packet, size_t n, int fd)
{
	struct request r = { 0, fd, STRALLOC_ZERO, STRALLOC_ZERO,
	    STRALLOC_ZERO };
	char const *sender, *to = 0;
	size_t pos = 0, at, len;

	job_field(packet, n, &pos);
	sender = job_field(packet, n, &pos);
	job_field(packet, n, &pos);
	if (job_field_number(packet, n, &pos, &r.number))
		to = job_field(packet, n, &pos);
	if (fd == -1 || !sender || !to || pos != n)
		strerr_dief1x(EXIT_PERM, "send's packet is malformed");
	len = strlen(to);
	at = smtpaddress_at(to, len);
	if (!stralloc_copys(&r.sender, sender) ||
	    !stralloc_copyb(&r.local, to, at) || (at < len &&
	    !stralloc_copyb(&r.host, to + at + 1, len - at - 1)))
		strerr_diefu1sys(EXIT_TEMP, "allocate memory");
	look_up(s, &r);
}

static void
read_jobs(struct spawner *s)
{
	static char packet[LIMIT_PACKET];
	size_t n;
	int fd, r = packet_recv(0, packet, sizeof packet, &n, &fd);

	if (r == 1) {
		take_job(s, packet, n, fd);
	} else {
		s->closed = 1;
		unwatch(s, 0);
	}
}

static void
read_lookup(struct spawner *s, struct lookup *l)
{
	ssize_t r = read(l->out, l->record + l->n, sizeof l->record - l->n);

	if (r > 0)
		l->n += r;
	/* a record that fills the buffer is none of getpw's */
	if (r == 0 || l->n == sizeof l->record ||
	    (r == -1 && errno != EAGAIN && errno != EINTR)) {
		unwatch(s, l->out);
		close(l->out);
		l->out = -1;
	}
}

static void
lookup_done(struct spawner *s, struct lookup *l)
{
	struct assign a = ASSIGN_ZERO;

	if (!WIFEXITED(l->status) || WEXITSTATUS(l->status) != 0)
		refuse(&l->r, "ZUnable to look up the user. (#4.3.0)\n");
	else if (assign_record(l->record, l->n, "", 0, &a) != 1)
		refuse(&l->r, "ZThe user's entry is malformed. (#4.3.0)\n");
	else
		deliver_as(s, &l->r, &a);
	stralloc_free(&a.sa);
}

static void
finish_lookups(struct spawner *s)
{
	struct lookup **p = &s->lookups, *l;

	while ((l = *p)) {
		if (l->pid > 0 && s->now > l->until)
			kill(l->pid, SIGKILL);
		if (l->pid || l->out != -1) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		lookup_done(s, l);
		free(l);
	}
}

static void
reap(struct spawner *s)
{
	struct lookup *l;
	int status;
	pid_t pid;

	while (selfpipe_read() > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (l = s->lookups; l; l = l->next)
			if (l->pid == pid) {
				l->pid = 0;
				l->status = status;
			}
}

static void
read_answer(struct spawner *s, struct worker *w)
{
	uint64_t number = w->number;
	char const *text;
	int busy = w->busy;
	int r = pool_answer(&s->pool, w, s->now, &text);

	if (!busy)
		return;
	if (r == 0)
		report(number, "Zlocal crashed. (#4.3.0)\n");
	else if (!text || !*text || !strchr("KZDC", *text))
		report(number, "Zlocal's report is malformed. (#4.3.0)\n");
	else
		report(number, text);
}

static void
hear(struct spawner *s, int fd)
{
	struct worker *w = pool_worker(&s->pool, fd);
	struct lookup *l = s->lookups;

	if (w) {
		read_answer(s, w);
		return;
	}
	while (l && l->out != fd)
		l = l->next;
	if (l)
		read_lookup(s, l);
}

/* Who has spoken first: what the rest closes and opens may have their
 * descriptors' numbers.
 */
static void
react(struct spawner *s, struct epoll_event const *e, int n)
{
	int i, children = 0, jobs = 0;

	for (i = 0; i < n; i++) {
		if (e[i].data.fd == 0)
			jobs = 1;
		else if (e[i].data.fd == s->signals)
			children = 1;
		else
			hear(s, e[i].data.fd);
	}
	if (children)
		reap(s);
	finish_lookups(s);
	if (jobs)
		read_jobs(s);
}

static void
loop(struct spawner *s)
{
	struct epoll_event e[EVENTS];

	while (!s->closed || s->pool.busy || s->lookups) {
		int n = epoll_wait(s->pool.wake, e, EVENTS,
		    POOL_SECONDS * 1000);

		if (n == -1 && errno != EINTR)
			strerr_diefu1sys(EXIT_TEMP, "wait for jobs");
		s->now = clock_seconds();
		react(s, e, n);
		pool_tidy(&s->pool, s->now, s->closed);
	}
}

static int
catch_children(void)
{
	int fd = selfpipe_init();

	if (fd == -1 || !selfpipe_trap(SIGCHLD) || !sig_ignore(SIGPIPE))
		strerr_diefu1sys(EXIT_TEMP, "catch signals");
	return fd;
}

/* lspawn: runs local for send, as the user to whom a recipient belongs.
 *
 * Runs as:    root, started by start: it becomes users
 * Reads:      descriptor 0: jobs of send's; users/cdb;
 *             control/defaultdelivery; what bin/getpw prints
 * Writes:     to send: verdicts
 * Trusts:     users/cdb, getpw; send only as to which local address a message
 *             goes to.  Opens no message and no file of a user's
 * Trusted by: everybody: it is root
 */
int
main(int argc, char const *const *argv)
{
	static char const *const local[] = { "bin/local", 0 };
	static struct spawner s = { .pool = POOL_ZERO };

	PROG = "lspawn";
	if (argc > 2)
		strerr_dieusage(EXIT_USAGE, "lspawn [defaultdelivery]");
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "chdir to ", home_path());
	if (role_find("popup", &s.nobody) != 1)
		strerr_dief1x(EXIT_TEMP, "no user for role popup");
	if (argc == 2 && *argv[1]) {
		s.given = 1;
		if (!stralloc_copys(&s.defaultdelivery, argv[1]))
			strerr_diefu1sys(EXIT_TEMP, "allocate memory");
	}
	s.pool.argv = local;
	s.pool.wake = epoll_create1(EPOLL_CLOEXEC);
	s.signals = catch_children();
	if (s.pool.wake == -1 || watch(&s, s.signals) == -1 ||
	    watch(&s, 0) == -1)
		strerr_diefu1sys(EXIT_TEMP, "wait for jobs");
	loop(&s);
	return EXIT_DONE;
}
