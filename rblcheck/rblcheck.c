/* rblcheck asks DNS lists about the address of an SMTP client, all at once,
 * and then runs the SMTP server, unless they refuse the client: then it holds
 * a conversation of its own with it, in which no recipient is accepted.  It
 * stands between listen and smtpd, or any other two programs of their kind,
 * and takes the options of rblsmtpd.
 *
 * Runs as: smtpd's user.  Reads: control/dnsbl, the environment; of a client
 * that is refused, the network.  Writes: the network; standard error.
 * Trusts: listen about the client's address, the lists about whom to refuse.
 * Trusted by: nobody; it can only refuse, or mark.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <skalibs/env.h>
#include <skalibs/exec.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/ipaddr.h"
#include "lib/log.h"
#include "lib/session.h"

#include "rblcheck/answers.h"
#include "rblcheck/blocked.h"
#include "rblcheck/lists.h"
#include "rblcheck/lookup.h"
#include "rblcheck/report.h"

enum {
	TIMEOUT = 60,		/* of the conversation, as rblsmtpd's */
	DEADLINE = 4,		/* of the lookups: clients wait 5 minutes for
				 * a greeting (RFC 5321 4.5.3.2.1) */
	MAX_SECONDS = 3600
};

struct options {
	unsigned int timeout, deadline, delay, enough;
	int mark, postmaster;
};

struct refusal {
	char const *list;	/* what decided, for the log */
	int bounce;
	stralloc text;
};

static char const *ip;		/* of the client, as text */
static struct refusal refusal;
static char const *reply;

static void
usage(void)
{
	strerr_dieusage(EXIT_USAGE, "rblcheck [-bBcCipW] [-t timeout] "
	    "[-d deadline] [-s score] [-w delay] [-r list] [-a list] prog...");
}

static void
no_memory(void)
{
	strerr_diefu1x(EXIT_TEMP, "allocate memory");
}

static unsigned int
number(char const *s, unsigned int max)
{
	unsigned int u;

	if (!uint0_scan(s, &u) || u > max)
		usage();
	return u;
}

static void
add_list(struct lists *l, enum lists_kind kind, char const *s)
{
	char const *why;
	int r = lists_add(l, kind, s, &why);

	if (r == -1)
		no_memory();
	if (r == 0)
		strerr_dief(EXIT_USAGE, "list ", s, ": ", why);
}

static void
option(int c, char const *arg, struct options *o, struct lists *l)
{
	char const *delay;

	switch (c) {
	case 'b': l->bounce = 1; break;
	case 'B': l->bounce = 0; break;
	case 'c': l->closed = 1; break;
	case 'C': l->closed = 0; break;
	case 'i': o->mark = 1; break;
	case 'p': o->postmaster = 1; break;
	case 'r': add_list(l, LISTS_BLOCK, arg); break;
	case 'a': add_list(l, LISTS_ALLOW, arg); break;
	case 't': o->timeout = number(arg, MAX_SECONDS); break;
	case 'd': o->deadline = number(arg, MAX_SECONDS); break;
	case 's': o->enough = number(arg, 1000000); break;
	case 'w': o->delay = number(arg, MAX_SECONDS); break;
	case 'W':
		delay = getenv("GREETDELAY");
		if (delay)
			o->delay = number(delay, MAX_SECONDS);
		break;
	default: usage();
	}
}

/* The lists of control/dnsbl come behind those of the options. */
static void
read_lists(struct lists *l)
{
	static char const sorry[] =
	    "421 unable to read controls (#4.3.0)\r\n";
	stralloc file = STRALLOC_ZERO;
	char const *why, *bad;
	int r;

	if (!stralloc_cats(&file, home_path()) ||
	    !stralloc_cats(&file, "/control/dnsbl") || !stralloc_0(&file))
		no_memory();
	r = lists_read(l, file.s, &why, &bad);
	if (r != 1 && write(1, sorry, sizeof sorry - 1) == -1)
		strerr_warnwu1sys("write to the client");
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "read ", file.s);
	if (r == 0)
		strerr_dief(EXIT_TEMP, file.s, ": ", why, ": ", bad);
	stralloc_free(&file);
}

/* Lists of names are for the server, which will know the names: they leave
 * the table. */
static void
hand_on_names(struct lists *l)
{
	stralloc all = STRALLOC_ZERO;
	unsigned int i, n = 0;

	for (i = 0; i < l->n; i++) {
		if (l->at[i].kind != LISTS_NAME) {
			l->at[n++] = l->at[i];
			continue;
		}
		if ((all.len && !stralloc_append(&all, '\n')) ||
		    !stralloc_cats(&all, l->at[i].line))
			no_memory();
	}
	l->n = n;
	if (!all.len)
		return;
	if (!stralloc_0(&all) || setenv("RHSBL", all.s, 1) == -1)
		no_memory();
	stralloc_free(&all);
}

/* Has the client said something, before we did?  A client that has gone has
 * not. */
static int
talks(void)
{
	int n = 0;

	return ioctl(0, FIONREAD, &n) == 0 && n > 0;
}

/* Waits for a verdict, and at least until the time that the client must keep
 * quiet.  1; 0 the client did not keep quiet. */
static int
wait_for(struct lookup *l, uint64_t quiet, struct verdict *v)
{
	struct pollfd p[2] = { { -1, POLLIN, 0 }, { -1, POLLIN, 0 } };

	for (;;) {
		uint64_t now = clock_ms(), until = l->deadline;
		int decided = lookup_verdict(l, v);

		if (decided && now >= quiet)
			return 1;
		if (decided || (now < quiet && quiet < until))
			until = quiet;
		p[0].fd = l->dns.fd;
		p[1].fd = now < quiet ? 0 : -1;
		if (poll(p, 2, until > now ? until - now : 0) == -1 &&
		    errno != EINTR)
			strerr_diefusys(EXIT_TEMP, "poll");
		if (p[0].fd != -1 && p[0].revents)
			lookup_read(l);
		if (p[1].fd == -1 || !p[1].revents)
			continue;
		if (talks())
			return 0;
		quiet = now;	/* it has gone: nothing to watch */
	}
}

static void
refuse_text(char const *list, char const *text, int bounce)
{
	refusal.list = list;
	refusal.bounce = bounce;
	if (!stralloc_copys(&refusal.text, text))
		no_memory();
}

/* 1 to refuse the client, with refusal filled in; 0. */
static int
ask_lists(struct lists const *lists, struct options const *o)
{
	static struct lookup l;
	struct ipaddr address;
	stralloc asked = STRALLOC_ZERO;
	struct verdict v = { .block = 0 };
	uint64_t start = clock_ms();
	int quiet;

	l.answers.enough = o->enough;
	if (!ipaddr_scan(ip, strlen(ip), &address)) {
		l.dns.fd = -1;
		l.answers.lists = lists;
		answers_close(&l.answers, "no-address");
	} else if (lists_address(&address, &asked) == -1 ||
	    lookup_start(&l, lists, asked.s, o->deadline) == -1)
		no_memory();
	stralloc_free(&asked);
	quiet = wait_for(&l, o->delay ? start + 1000 * o->delay : 0, &v);
	lookup_end(&l);
	if (lists->n)
		report_answers(&l.answers, "ip", ip, !quiet ? "early" :
		    !v.block ? "pass" : o->mark ? "mark" : "block",
		    clock_ms() - start);
	if (!quiet) {
		refuse_text("early", "protocol error: "
		    "you spoke before the greeting", lists->bounce);
		return 1;
	}
	if (!v.block)
		return 0;
	refusal.list = lists->at[v.list].base;
	refusal.bounce = v.bounce;
	if (answers_text(&l.answers, &v, ip, &refusal.text) == -1)
		no_memory();
	return 1;
}

static char const *
known(stralloc const *s)
{
	return s->len ? s->s : "";
}

static void
log_refused(struct blocked const *b)
{
	log_start("info", "refused");
	log_string("ip", ip);
	log_string("list", refusal.list);
	log_string("helo", known(&b->helo));
	log_path("from", known(&b->from), strlen(known(&b->from)));
	if (b->rcpt.len)
		log_path("rcpt", known(&b->rcpt), strlen(known(&b->rcpt)));
	log_string("reply", reply);
	log_end();
}

static void
mark(void)
{
	stralloc value = STRALLOC_ZERO;

	if (blocked_value(&value, refusal.bounce, refusal.text.s,
	    refusal.text.len) == -1 || !stralloc_0(&value) ||
	    setenv("RBLSMTPD", value.s, 1) == -1)
		no_memory();
	stralloc_free(&value);
}

static void
converse(struct options const *o, char const *const *server)
{
	static io client;
	static struct blocked b;

	b.reply = reply;
	b.refused = log_refused;
	b.server = o->postmaster ? server : 0;
	io_init(&client, 0, 1);
	/* a client or a server that has gone is an error, not our end */
	signal(SIGPIPE, SIG_IGN);
	if (o->timeout) {
		io_deadline(&client, o->timeout);
		blocked_session(&client, &b);
	} else {
		io_deadline(&client, TIMEOUT);
		io_puts(&client, reply);
		io_puts(&client, "\r\n");
		io_flush(&client);
		log_refused(&b);
	}
}

/* $RBLSMTPD decides if it is there: rblsmtpd(1).  1 refuse, 0 do not, -1
 * unset. */
static int
decided_before(void)
{
	char const *s = getenv("RBLSMTPD");

	if (!s)
		return -1;
	if (!*s)
		return 0;
	refuse_text("RBLSMTPD", s + (*s == '-'), *s == '-');
	return 1;
}

static void
run(char const *const *argv)
{
	exec(argv);
	strerr_diefusys(EXIT_TEMP, "run ", argv[0]);
}

int
main(int argc, char const *const *argv)
{
	static struct lists lists;
	subgetopt g = SUBGETOPT_ZERO;
	struct options o = {
		.timeout = TIMEOUT, .deadline = DEADLINE, .enough = 1
	};
	stralloc line = STRALLOC_ZERO;
	int c, refused;

	PROG = "rblcheck";
	while ((c = subgetopt_r(argc, argv, "bBcCipWr:a:t:d:s:w:", &g)) != -1)
		option(c, g.arg, &o, &lists);
	argv += g.ind;
	if (!*argv || !o.deadline)
		usage();
	ip = getenv("TCPREMOTEIP");
	if (!ip)
		ip = "";
	refused = decided_before();
	if (refused == -1) {
		read_lists(&lists);
		hand_on_names(&lists);
		if (lists.n || o.delay) {
			session_id();
			refused = ask_lists(&lists, &o);
		}
	}
	if (refused != 1)
		run(argv);
	if (!refusal.text.len)
		refuse_text(refusal.list, "refused", refusal.bounce);
	if (blocked_reply(&line, refusal.bounce, refusal.text.s,
	    refusal.text.len) == -1 || !stralloc_0(&line))
		no_memory();
	reply = line.s;
	if (o.mark) {
		mark();
		run(argv);
	}
	converse(&o, argv);
	return 0;
}
