#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/packet.h"
#include "tools/ask.h"
#include "tools/checks.h"
#include "tools/finding.h"
#include "tools/talk.h"

enum { EXPIRES_WARN = 21, EXPIRES_BAD = 3 };	/* days */

static struct door {
	char const *service, *port, *address;
	unsigned int usual;
} const doors[] = {
	{ "smtpd", "control/smtpport", "control/smtpaddress", 25 },
	{ "submission", "control/submissionport", "control/submissionaddress",
	    587 },
	{ "smtps", "control/smtpsport", "control/smtpsaddress", 465 },
	{ "pop3", "control/pop3port", "control/pop3address", 110 },
	{ "pop3s", "control/pop3sport", "control/pop3saddress", 995 }
};

static stralloc out = STRALLOC_ZERO;

static int
is_off(char const *service)
{
	char path[64];

	snprintf(path, sizeof path, "service/%s/run", service);
	if (access(path, F_OK) == -1)
		return 1;
	snprintf(path, sizeof path, "service/%s/down", service);
	return access(path, F_OK) == 0;
}

/* The address that the door was told to listen at, else the first one that
 * this machine shows to others, else loopback.
 */
static void
address_of(struct machine const *m, struct door const *d, struct ipaddr *a)
{
	stralloc s = STRALLOC_ZERO;

	if (control_line(d->address, &s) != 1 ||
	    !ipaddr_scan(s.s, s.len, a)) {
		ipaddr_scan("127.0.0.1", 9, a);
		if (m->n)
			*a = m->addresses[0];
	}
	stralloc_free(&s);
}

void
check_ports(struct machine const *m)
{
	size_t i;

	for (i = 0; i < sizeof doors / sizeof *doors; i++) {
		struct door const *d = &doors[i];
		unsigned int port = checks_setting(d->port, d->usual);
		struct talk talk = { .fd = -1, .quiet = 1 };
		struct ipaddr a;
		char text[IPADDR_FMT];

		if (is_off(d->service))
			continue;
		address_of(m, d, &a);
		ipaddr_fmt(text, &a);
		if (talk_open(&talk, &a, port, 0) == 1 &&
		    checks_runs(d->service) == 0)
			finding_bad("mail and passwords go to that one",
			    "ss -lptn names it; stop it, then mailctl start",
			    "another program than %s answers at %s, port %u",
			    d->service, text, port);
		else if (talk.fd != -1)
			finding_ok("%s answers at %s, port %u", d->service,
			    text, port);
		else
			finding_bad("nobody reaches it", "mailctl stat, and "
			    "look at your firewall", "%s does not answer at "
			    "%s, port %u: %s", d->service, text, port,
			    strerror(errno));
		talk_close(&talk);
	}
	if (!m->n)
		finding_note("this machine has no address but loopback:"
		    " ports were tried there");
}

/* Whom the rules do not trust by nature: an address of 127/8 that is not
 * 127.0.0.1's network, or one of the machine's own.
 */
static char const *
stranger(struct ipaddr const *to, char *text)
{
	if (ipaddr_is4(to) && to->b[12] == 127)
		return "127.9.9.9";
	ipaddr_fmt(text, to);
	return text;
}

void
check_relay(struct machine const *m)
{
	struct ipaddr a;
	char port[16], to[IPADDR_FMT], from[IPADDR_FMT];
	char const *argv[] = { "bin/relaytest", "-q", "-p", port, "-d",
	    0, "-b", from, to, 0 };
	char const *s;
	int code;

	if (is_off("smtpd"))
		return;
	address_of(m, &doors[0], &a);
	snprintf(port, sizeof port, "%u",
	    checks_setting(doors[0].port, doors[0].usual));
	ipaddr_fmt(to, &a);
	s = stranger(&a, from);
	argv[5] = checks_strict(m);
	argv[7] = s;
	code = ask(argv, 300, &out);
	if (code == 0)
		finding_ok("%s may not relay", s);
	else if (code == 1)
		finding_bad("spammers find such a server within hours",
		    "rulescheck, then take RELAYCLIENT out of rules/smtp and "
		    "run mailctl cdb", "%s may relay", s);
	else
		finding_warn("an open relay is not noticed", "relaytest",
		    "the relay test did not end: %s",
		    code == -1 ? strerror(errno) : "see relaytest(8)");
}

/* MAIL and RCPT for somebody who does not exist.  1 *code; else trouble */
static int
ask_recipient(struct talk *t, char const *domain, unsigned int *code)
{
	char rcpt[400];

	snprintf(rcpt, sizeof rcpt, "RCPT TO:<no-such-mailbox-%lu@%.255s>",
	    (unsigned long)time(0), domain);
	if (talk_reply(t, code) != 1 || talk_command(t, "HELO doctor.example",
	    code) != 1 || talk_command(t, "MAIL FROM:<>", code) != 1)
		return 0;
	return talk_command(t, rcpt, code);
}

void
check_recipients(struct machine const *m)
{
	struct talk talk = { .fd = -1, .quiet = 1 };
	struct ipaddr a;
	unsigned int code = 0;
	char const *d = m->domains.len ? m->domains.s : m->me.s;
	int r = 0;

	if (is_off("smtpd"))
		return;
	address_of(m, &doors[0], &a);
	if (talk_open(&talk, &a, checks_setting(doors[0].port,
	    doors[0].usual), 0) == 1)
		r = ask_recipient(&talk, d, &code);
	talk_close(&talk);
	if (r == 1 && code / 100 == 5)
		finding_ok("unknown recipients at %s are refused", d);
	else if (r == 1 && code / 100 == 2)
		finding_warn("what is accepted and cannot be delivered bounces"
		    " to forged senders", "a catch-all is meant? else look at"
		    " RCPTCHECK, and run usersmake",
		    "unknown recipients at %s are accepted", d);
	else
		finding_warn("senders are put off", "look into log/smtpd",
		    "a recipient at %s gets code %u", d, code);
}

/* Where scanq sends what it keeps: that must not come back. */
static void
quarantine(struct machine const *m)
{
	char const *argv[] = { "bin/rcptcheck", 0, 0 };
	stralloc to = STRALLOC_ZERO;

	if (control_line("control/quarantine", &to) == 1 ? !stralloc_0(&to) :
	    !stralloc_copys(&to, "quarantine@") ||
	    !stralloc_cats(&to, m->me.s) || !stralloc_0(&to))
		return;
	argv[1] = to.s;
	if (ask(argv, 20, &out) == EXIT_PERM)
		finding_bad("what scanq keeps bounces into the postmaster's"
		    " mailbox", "put localhost into control/locals, and"
		    " quarantine@localhost into control/quarantine",
		    "mail for the quarantine, %s, is refused", to.s);
	else
		finding_ok("%s takes what is kept in quarantine", to.s);
	stralloc_free(&to);
}

void
check_authors(struct machine const *m)
{
	int fd;

	(void)m;
	if (!checks_filter("dmarcq")) {
		finding_note("forged senders are not told apart: "
		    "service/smtpd/env/QMAILQUEUE does not name dmarcq");
		return;
	}
	fd = packet_connect("socket/dmarc/dmarcd");
	if (fd == -1) {
		finding_warn("forged senders are not told apart, or mail is "
		    "put off", "rm service/dmarcd/down; mailctl start",
		    "dmarcd does not answer: %s", strerror(errno));
		return;
	}
	close(fd);
	finding_ok("SPF, DKIM and DMARC of what comes in are checked%s",
	    access("control/dmarcpolicy", F_OK) == 0 ? "" :
	    "; nothing is refused");
}

void
check_scanner(struct machine const *m)
{
	static char const *const argv[] = { "bin/scanq", "-t", 0 };
	char *line, *last = 0;
	size_t pos = 0;
	int code;

	if (!checks_filter("scanq")) {
		finding_note("mail is not scanned: service/smtpd/env/"
		    "QMAILQUEUE does not name scanq");
		return;
	}
	quarantine(m);
	code = ask(argv, 120, &out);
	while ((line = ask_line(&out, &pos)))
		if (*line)
			last = line;
	if (code == 0)
		finding_ok("clamd finds the test virus");
	else
		finding_warn("viruses pass, or mail is put off", "mailctl"
		    " scan, and look at clamav-daemon and freshclam",
		    "clamd fails the test: %s", last ? last : "no answer");
}

/* What certinfo says of the certificate that others see. */
void
check_certificate(struct machine const *m)
{
	char const *argv[] = { "bin/certinfo", "tls/default.pem", 0 };
	char *line;
	size_t pos = 0;
	long days = -1;
	int self = 0, named = 0;

	if (is_off("tlsd"))
		return;
	if (ask(argv, 30, &out) != 0) {
		finding_bad("passwords and mail cross the network in the"
		    " clear", "run setup again", "no certificate in %s",
		    argv[1]);
		return;
	}
	while ((line = ask_line(&out, &pos))) {
		sscanf(line, "days %ld", &days);
		self |= strcmp(line, "self-signed") == 0;
		named |= strncmp(line, "name ", 5) == 0 &&
		    strcmp(line + 5, m->me.s) == 0;
	}
	if (days < EXPIRES_WARN)
		(days < EXPIRES_BAD ? finding_bad : finding_warn)(
		    "mail programs will refuse to connect", "renew it",
		    "the certificate ends in %ld days", days);
	if (!named)
		finding_warn("mail programs complain", "get one for that name",
		    "the certificate does not name %s", m->me.s);
	if (self)
		finding_note("the certificate is self-signed: see \"A real "
		    "certificate\" in INSTALL");
	if (days >= EXPIRES_WARN && named)
		finding_ok("the certificate is for %s, and good for %ld days",
		    m->me.s, days);
}
