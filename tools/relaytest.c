#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/sig.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/ipaddr.h"
#include "lib/resolve.h"
#include "lib/smtpaddress.h"
#include "tools/talk.h"

char const *PROG = "relaytest";

enum {
	EACH = 8,	/* tests on one connection: servers end it after some
			 * errors, and slow down before */
	QUIET = 1,	/* second to wait for a reply that must not come */
	EXIT_ACCEPTED = 1
};

/* Sender and recipient, with {d} the server's domain, {i} its address literal,
 * {u} and {v} local part and domain of the victim, {s} the sender's domain.
 * The first seventeen are those of www.abuse.net/relay.html.
 */
static struct test {
	char const *from, *to;
} const tests[] = {
	{ "spamtest@{v}", "{u}@{v}" },
	{ "spamtest", "{u}@{v}" },
	{ "", "{u}@{v}" },
	{ "spamtest@{d}", "{u}@{v}" },
	{ "spamtest@{i}", "{u}@{v}" },
	{ "spamtest@{d}", "{u}%{v}@{d}" },
	{ "spamtest@{d}", "{u}%{v}@{i}" },
	{ "spamtest@{d}", "\"{u}@{v}\"" },
	{ "spamtest@{d}", "\"{u}%{v}\"" },
	{ "spamtest@{d}", "{u}@{v}@{d}" },
	{ "spamtest@{d}", "\"{u}@{v}\"@{d}" },
	{ "spamtest@{d}", "{u}@{v}@{i}" },
	{ "spamtest@{d}", "@{d}:{u}@{v}" },
	{ "spamtest@{d}", "@{i}:{u}@{v}" },
	{ "spamtest@{d}", "{v}!{u}" },
	{ "spamtest@{d}", "{v}!{u}@{d}" },
	{ "spamtest@{d}", "{v}!{u}@{i}" },
	/* what has been tried since */
	{ "spamtest@localhost", "{u}@{v}" },
	{ "postmaster@{d}", "{u}@{v}." },
	{ "spamtest@{s}", "\"{u}%{v}\"@{d}" },
	{ "spamtest@{s}", "\"{v}!{u}\"@{d}" },
	{ "spamtest@{s}", "{v}!{u}%{v}@{d}" },
	{ "spamtest@{s}", "{u}%{v}%{d}@{d}" },
	{ "spamtest@{s}", "@{d},@{v}:{u}@{v}" },
	{ "spamtest@{s}", "{u}%40{v}@{d}" },
	{ "spamtest@{s}", "{u}=40{v}@{d}" },
	{ "spamtest@{s}", "{u}+40{v}@{d}" },
	{ "spamtest@{s}", "{u}\\@{v}@{d}" },
	{ "spamtest@{s}", "{u}%{v}@localhost" },
	{ "spamtest@{s}", "{u}%{v}@[127.0.0.1]" },
	{ "spamtest@{s}", "{u}%{v}@[0.0.0.0]" },
	{ "spamtest@{s}", "{u}%{v}@[IPv6:::1]" },
	{ "spamtest@{s}", "{u}%{v}@[IPv6:::]" },
	{ "spamtest@{s}", "{u}@[192.0.2.1]" },
	{ "spamtest@{s}", "{u}@[IPv6:2001:db8::1]" },
	{ "spamtest@{s}", "{u}@{v},postmaster@{d}" },
	{ "spamtest@{s}", "{u}@{v}> <postmaster@{d}" },
	{ "{u}@{v}", "{u}@{v}" }
};
enum { TESTS = sizeof tests / sizeof *tests, CLASSIC = 17 };

/* What some servers take for the end of a message.  One that does answers at
 * once, and would obey what stands behind it as commands.
 */
static struct ending {
	char const *name, *bytes;
} const endings[] = {
	{ "LF . LF", "\n.\n" },
	{ "LF . CR LF", "\n.\r\n" },
	{ "CR LF . LF", "\r\n.\n" },
	{ "CR LF . CR", "\r\n.\r" },
	{ "CR . CR", "\r.\r" },
	{ "CR . CR LF", "\r.\r\n" },
	{ "LF . CR CR LF", "\n.\r\r\n" }
};
enum { ENDINGS = sizeof endings / sizeof *endings };

struct target {
	struct ipaddr ip, from;
	int bound;		/* connect from that address */
	unsigned int port;
	char const *domain;	/* -d, else HOST */
	char literal[IPADDR_FMT + 8];
	char const *user, *victim;
	char const *sender;	/* domain of a sender who is nobody here */
	char const *mailbox;	/* -m: takes what was smuggled */
	char const *name;	/* -n: what we call ourselves */
};

struct count {
	unsigned int done, relayed, smuggled;
};

static void
usage(void)
{
	strerr_dieusage(EXIT_USAGE, "relaytest [-q] [-p port] [-b address] "
	    "[-d domain] [-m mailbox] [-s domain] [-t address] [-n name] host");
}

static char const *
meaning(struct target const *t, char c)
{
	switch (c) {
	case 'd':
		return t->domain;
	case 'i':
		return t->literal;
	case 'u':
		return t->user;
	case 'v':
		return t->victim;
	default:
		return t->sender;
	}
}

/* verb "<" pattern ">" */
static char const *
command(struct target const *t, char const *verb, char const *pattern)
{
	static stralloc out = STRALLOC_ZERO;
	int ok = stralloc_copys(&out, verb) && stralloc_cats(&out, "<");

	for (; ok && *pattern; pattern++) {
		if (*pattern != '{') {
			ok = stralloc_append(&out, *pattern);
			continue;
		}
		ok = stralloc_cats(&out, meaning(t, pattern[1]));
		pattern += 2;
	}
	if (!ok || !stralloc_cats(&out, ">") || !stralloc_0(&out))
		strerr_diefu1sys(EXIT_TEMP, "get memory");
	return out.s;
}

static void
say(struct talk const *talk, char const *text, unsigned int n)
{
	if (!talk->quiet)
		printf("%s %u\n", text, n);
}

/* Connects and says HELO.  1, 0 the server says no, -1. */
static int
hello(struct talk *talk, struct target const *t)
{
	char helo[300];
	unsigned int code;
	int r;

	if (!talk->quiet)
		printf("Connecting to %s ...\n", t->domain);
	if (talk_open(talk, &t->ip, t->port, t->bound ? &t->from : 0) == -1)
		return -1;
	r = talk_reply(talk, &code);
	if (r == 1 && code / 100 == 2) {
		snprintf(helo, sizeof helo, "HELO %s", t->name);
		r = talk_command(talk, helo, &code);
	}
	return r == 1 ? code / 100 == 2 : r;
}

static void
must_hello(struct talk *talk, struct target const *t)
{
	int r = hello(talk, t);

	if (r == -1)
		strerr_diefu2sys(EXIT_TEMP, "talk to ", t->domain);
	if (r == 0)
		strerr_dief2x(EXIT_TEMP, t->domain, " does not let us in");
}

/* RSET, MAIL, RCPT.  1 done, *code is RCPT's or, if that was refused, MAIL's;
 * 0, -1 the conversation is over.
 */
static int
ask(struct talk *talk, struct target const *t, struct test const *test,
    unsigned int *code)
{
	int r = talk_command(talk, "RSET", code);

	if (r == 1)
		r = talk_command(talk, command(t, "MAIL FROM:", test->from),
		    code);
	if (r == 1 && *code / 100 == 2)
		r = talk_command(talk, command(t, "RCPT TO:", test->to), code);
	return r == 1 && *code == 421 ? 0 : r;
}

/* A conversation may end in the middle of it: once more, in a new one. */
static void
relay_test(struct talk *talk, struct target const *t, unsigned int i,
    struct count *count)
{
	unsigned int code = 0;
	int r = 0, tries;

	say(talk, "\nRelay test", i + 1);
	for (tries = 0; tries < 2 && r != 1; tries++) {
		if (talk->fd == -1)
			must_hello(talk, t);
		r = ask(talk, t, &tests[i], &code);
		if (r != 1)
			talk_close(talk);
	}
	if (r != 1)
		strerr_dief3x(EXIT_TEMP, t->domain, " ends the conversation "
		    "at this test", " twice");
	count->done++;
	if (code / 100 != 2)
		return;
	count->relayed++;
	printf("%s accepts, in test %u, mail for %s\n", t->domain, i + 1,
	    command(t, "", tests[i].to));
}

static void
relay_tests(struct talk *talk, struct target const *t, struct count *count)
{
	unsigned int i;

	for (i = 0; i < TESTS; i++) {
		if (i % EACH == 0)
			talk_close(talk);
		relay_test(talk, t, i, count);
	}
	talk_close(talk);
}

/* The message, with commands behind what is no end.  1 done; else trouble. */
static int
smuggle(struct talk *talk, struct target const *t, struct ending const *e,
    int *caught)
{
	static char const *const head = "Subject: relaytest: %s\r\n\r\n"
	    "A test of what ends a message; delete it.";
	char text[512];
	struct test envelope = { "spamtest@{s}", t->mailbox };
	unsigned int code;
	int r = ask(talk, t, &envelope, &code);

	if (r != 1 || code / 100 != 2)
		return r == 1 ? 0 : r;
	r = talk_command(talk, "DATA", &code);
	if (r != 1 || code != 354)
		return r == 1 ? 0 : r;
	snprintf(text, sizeof text, head, e->name);
	if (talk_send(talk, text, strlen(text)) == -1 ||
	    talk_send(talk, e->bytes, strlen(e->bytes)) == -1)
		return -1;
	/* an answer now: that was the end for it */
	*caught = talk_more(talk, QUIET);
	if (*caught)
		return talk_reply(talk, &code);
	if (talk_send(talk, "\r\n.\r\n", 5) == -1)
		return -1;
	return talk_reply(talk, &code);
}

static void
smuggling_tests(struct talk *talk, struct target const *t, struct count *count)
{
	unsigned int i;
	int r, caught;

	for (i = 0; i < ENDINGS; i++) {
		say(talk, "\nSmuggling test", i + 1);
		caught = 0;
		must_hello(talk, t);
		r = smuggle(talk, t, &endings[i], &caught);
		if (r == 0 && !caught)
			strerr_dief3x(EXIT_TEMP, t->mailbox, " was refused, or"
			    " the conversation ended: no smuggling tests", "");
		talk_close(talk);
		count->done++;
		if (!caught)
			continue;
		count->smuggled++;
		printf("%s: takes %s for the end of a message\n", t->domain,
		    endings[i].name);
	}
}

/* Through dnsq, as everything does. */
static int
find_address(char const *host, struct ipaddr *ip)
{
	static char const *const types[] = { "a", "aaaa" };
	struct resolve names = RESOLVE_ZERO;
	struct answer a;
	char *value;
	int found = 0, i;

	if (!resolve_valid(host, strlen(host)) || resolve_start(&names) == -1)
		return 0;
	for (i = 0; i < 2 && !found; i++) {
		if (resolve_ask(&names, "x", types[i], host) == -1 ||
		    resolve_answer(&names, &a) == -1)
			break;
		while (!found && (value = resolve_value(&a)))
			found = ipaddr_scan(value, strlen(value), ip);
	}
	resolve_end(&names);
	return found;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" */
static void
make_literal(struct target *t)
{
	char text[IPADDR_FMT];

	ipaddr_fmt(text, &t->ip);
	snprintf(t->literal, sizeof t->literal, "[%s%s]",
	    ipaddr_is4(&t->ip) ? "" : "IPv6:", text);
}

/* local part and domain of the one who must not get mail through here */
static void
set_victim(struct target *t, char *address)
{
	size_t n = strlen(address), at = smtpaddress_at(address, n);

	if (at == n || at == 0 || at + 1 == n)
		strerr_dief3x(EXIT_USAGE, "not an address: ", address, "");
	address[at] = 0;
	t->user = address;
	t->victim = address + at + 1;
}

/* Nothing of it may become another command. */
static char *
printable(char *s)
{
	size_t i, n = strlen(s);

	if (!n || n > 255)
		strerr_dief2x(EXIT_USAGE, "too long, or empty: ", s);
	for (i = 0; i < n; i++)
		if (s[i] <= 32 || s[i] > 126 || s[i] == '<' || s[i] == '>' ||
		    s[i] == '{')
			strerr_dief1x(EXIT_USAGE, "odd byte in an argument");
	return s;
}

static void
options(int argc, char *const *argv, struct target *t, struct talk *talk)
{
	int c;

	while ((c = getopt(argc, argv, "qp:b:d:m:s:t:n:")) != -1)
		switch (c) {
		case 'q':
			talk->quiet = 1;
			break;
		case 'p':
			if (!uint0_scan(optarg, &t->port) || !t->port ||
			    t->port > 65535)
				usage();
			break;
		case 'b':
			t->bound = ipaddr_scan(optarg, strlen(optarg),
			    &t->from);
			if (!t->bound)
				usage();
			break;
		case 'd':
			t->domain = printable(optarg);
			break;
		case 'm':
			t->mailbox = printable(optarg);
			break;
		case 's':
			t->sender = printable(optarg);
			break;
		case 't':
			set_victim(t, printable(optarg));
			break;
		case 'n':
			t->name = printable(optarg);
			break;
		default:
			usage();
		}
	if (argc != optind + 1)
		usage();
}

static int
is_loopback(struct ipaddr const *a)
{
	static unsigned char const one[16] = { [15] = 1 };

	return ipaddr_is4(a) ? a->b[12] == 127 : !memcmp(a->b, one, 16);
}

static void
report(struct target const *t, struct count const *count)
{
	printf("\nRelay test result\n");
	if (count->relayed)
		printf("%u of %u tests: %s accepts mail for others.  Either "
		    "it relays,\nor it takes an odd address for one of its "
		    "own and will bounce.\n", count->relayed, count->done,
		    t->domain);
	if (count->relayed && !t->bound && is_loopback(&t->ip))
		printf("You asked from this machine, which most servers let "
		    "relay: ask again\nfrom another one, or with -b "
		    "127.9.9.9.\n");
	if (count->smuggled)
		printf("%u of %d endings let a sender smuggle messages in.\n",
		    count->smuggled, ENDINGS);
	if (!count->relayed && !count->smuggled)
		printf("All tests performed, no relays accepted.\n");
	if (fflush(stdout))
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
}

/* Asks a server, in all the ways that are known, to relay; prints the
 * conversation and a verdict.
 *
 * Runs as: whoever wants to know
 * Reads:   the server's replies; answers of dnsq
 * Writes:  standard output; to the server, and with -m to that mailbox
 * Trusts:  nobody
 * Trusted by: doctor
 */
int
main(int argc, char *const *argv)
{
	static struct talk talk = { .fd = -1 };
	struct target t = { .port = 25, .user = "relaytest",
	    .victim = "relaytest.example", .sender = "spamtest.example",
	    .name = "relaytest.example" };
	struct count count = { 0, 0, 0 };
	char const *host;

	sig_ignore(SIGPIPE);
	options(argc, argv, &t, &talk);
	host = printable(argv[optind]);
	if (!ipaddr_scan(host, strlen(host), &t.ip)) {
		if (home_enter() == -1)
			strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
		if (!find_address(host, &t.ip))
			strerr_diefu2x(EXIT_TEMP, "find an address of ", host);
	}
	make_literal(&t);
	if (!t.domain)
		t.domain = ipaddr_scan(host, strlen(host), &t.ip) ?
		    t.literal : host;
	relay_tests(&talk, &t, &count);
	if (t.mailbox)
		smuggling_tests(&talk, &t, &count);
	report(&t, &count);
	return count.relayed || count.smuggled ? EXIT_ACCEPTED : EXIT_DONE;
}
