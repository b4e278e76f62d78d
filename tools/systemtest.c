#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "tools/ask.h"
#include "tools/checks.h"
#include "tools/talk.h"

#define USAGE "systemtest [-u user@domain <password]"

char const *PROG = "systemtest";

enum { PATIENCE = 20, PASSWORD = 128, EXIT_FAILED = 1 };

static struct {
	struct ipaddr smtp, pop3;
	unsigned int smtp_port, pop3_port;
	char const *domain;
	char const *user;
	char password[PASSWORD + 1];
	char mark[64];			/* of the message of test 4 */
} o;

static unsigned int tests, failed;
static stralloc out = STRALLOC_ZERO;

static void
heading(char const *text)
{
	printf("\n%s\n\n", text);
}

static void
verdict(int good, char const *text)
{
	tests++;
	failed += !good;
	printf("%s: %s\n", good ? "passed" : "FAILED", text);
	fflush(stdout);
}

/* Runs a program and shows what it says.  Its exit code, -1. */
static int
show(char const *const *argv, unsigned int seconds)
{
	int code;
	size_t i;

	for (i = 0; argv[i]; i++)
		printf("%s%s", i ? " " : "# ", argv[i]);
	putchar('\n');
	fflush(stdout);
	code = ask(argv, seconds, &out);
	if (code == -1) {
		printf("%s: %s\n", argv[0], strerror(errno));
		return -1;
	}
	fwrite(out.s, 1, out.len, stdout);
	return code;
}

static void
open_ports(void)
{
	static char const *const stat[] = { "bin/mailctl", "stat", 0 };
	static char const *const ss[] = { "ss", "-Hlntu", 0 };
	static char const *const ports[] = { "bin/doctor", "services", "ports",
	    0 };

	heading("1. Running services and open ports");
	show(stat, 60);
	putchar('\n');
	show(ss, 30);
	putchar('\n');
	verdict(show(ports, 120) < 2, "the services run, and their ports are"
	    " open");
}

/* MAIL and RCPT.  The code of the last answer, 0 no answer. */
static unsigned int
envelope(struct talk *t, char const *from, char const *to)
{
	char line[600];
	unsigned int code = 0;

	snprintf(line, sizeof line, "mail from:<%.250s>", from);
	if (talk_command(t, line, &code) != 1 || code / 100 != 2)
		return code;
	snprintf(line, sizeof line, "rcpt to:<%.250s>", to);
	return talk_command(t, line, &code) == 1 ? code : 0;
}

static int
connect_smtp(struct talk *t, struct ipaddr const *from)
{
	unsigned int code;

	return talk_open(t, &o.smtp, o.smtp_port, from) == 1 &&
	    talk_reply(t, &code) == 1 && code == 220;
}

/* Every list has 127.0.0.2 (RFC 5782 5). */
static void
lists(void)
{
	struct talk t = { .fd = -1 };
	stralloc s = STRALLOC_ZERO;
	struct ipaddr from;
	char to[300];
	unsigned int code = 0, bye;

	heading("2. DNS lists");
	if (control_list("control/dnsbl", &s) != 1 || o.smtp.b[12] != 127) {
		printf("not tested: control/dnsbl names no list, or smtpd does"
		    " not listen at 127.0.0.1\n");
		stralloc_free(&s);
		return;
	}
	ipaddr_scan("127.0.0.2", 9, &from);
	snprintf(to, sizeof to, "postmaster@%.250s", o.domain);
	if (connect_smtp(&t, &from))
		code = envelope(&t, "me@systemtest.example", to);
	if (code)
		talk_command(&t, "quit", &bye);
	talk_close(&t);
	verdict(code / 100 == 4 || code / 100 == 5,
	    "a listed client is refused");
	stralloc_free(&s);
}

static void
relay(struct machine const *m)
{
	char port[16], to[IPADDR_FMT];
	char const *argv[] = { "bin/relaytest", "-p", port, "-d",
	    checks_strict(m), "-b", "127.9.9.9", to, 0 };

	heading("3. Mail relay");
	snprintf(port, sizeof port, "%u", o.smtp_port);
	ipaddr_fmt(to, &o.smtp);
	if (o.smtp.b[12] != 127)
		argv[6] = to;
	verdict(show(argv, 600) == 0, "nobody may relay");
}

/* A message with a program in it, which the rules that are installed keep. */
static int
send_forbidden(struct talk *t, char const *to)
{
	char text[800];
	unsigned int code;

	if (!connect_smtp(t, 0) ||
	    envelope(t, "systemtest@systemtest.example", to) != 250 ||
	    talk_command(t, "data", &code) != 1 || code != 354)
		return 0;
	snprintf(text, sizeof text, "Subject: %s\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: application/octet-stream; name=\"%s.bat\"\r\n"
	    "Content-Disposition: attachment; filename=\"%s.bat\"\r\n\r\n"
	    "echo a test\r\n.\r\n", o.mark, o.mark, o.mark);
	return talk_send(t, text, strlen(text)) == 1 &&
	    talk_reply(t, &code) == 1 && (code == 250 || code / 100 == 5);
}

/* The id of what was kept, in the line of "quarantine list" with our mark. */
static int
find_kept(char id[64])
{
	static char const *const argv[] = { "bin/quarantine", "list", 0 };
	char *line;
	size_t pos = 0;

	if (ask(argv, 60, &out) != 0)
		return 0;
	while ((line = ask_line(&out, &pos)))
		if (strstr(line, o.mark) && sscanf(line, "%63s", id) == 1) {
			printf("%s\n", line);
			return 1;
		}
	return 0;
}

static void
content(void)
{
	struct talk t = { .fd = -1 };
	char to[300], id[64];
	char const *away[] = { "bin/quarantine", "delete", id, 0 };
	int n, kept = 0;

	heading("4. Content filter");
	if (!checks_filter("scanq")) {
		printf("not tested: scanq does not stand before the queue\n");
		return;
	}
	snprintf(to, sizeof to, "postmaster@%.250s", o.domain);
	verdict(send_forbidden(&t, to), "a message with a forbidden attachment"
	    " is taken, or refused");
	talk_close(&t);
	for (n = 0; n < PATIENCE * 10 && !kept; n++) {
		kept = find_kept(id);
		usleep(100000);
	}
	verdict(kept, "it is kept in quarantine");
	if (kept)
		ask(away, 60, &out);
}

/* One line; "." for the rest of an answer.  1 it begins with "+OK" */
static int
pop_line(struct talk *t, char const *command, char const *shown, int all)
{
	char const *s = "";
	size_t n = 0;
	int good;

	printf(">>> %s\n", shown);
	if (talk_send(t, command, strlen(command)) == -1 ||
	    talk_send(t, "\r\n", 2) == -1 ||
	    io_line(&t->io, &s, &n, 2048) != 1)
		return 0;
	good = n >= 3 && memcmp(s, "+OK", 3) == 0;
	printf("<<< %s\n", good ? "+OK" : "-ERR");
	while (good && all && io_line(&t->io, &s, &n, 2048) == 1 &&
	    !(n == 2 && *s == '.'))
		;
	return good;
}

static void
pop3(void)
{
	struct talk t = { .fd = -1 };
	char const *s;
	char line[400];
	size_t n;
	int good;

	heading("5. POP3");
	if (!o.user) {
		printf("not tested: give -u, and the password on standard"
		    " input\n");
		return;
	}
	good = talk_open(&t, &o.pop3, o.pop3_port, 0) == 1;
	if (good) {
		io_deadline(&t.io, PATIENCE);
		good = io_line(&t.io, &s, &n, 2048) == 1;
	}
	snprintf(line, sizeof line, "user %.300s", o.user);
	good = good && pop_line(&t, line, line, 0);
	snprintf(line, sizeof line, "pass %s", o.password);
	good = good && pop_line(&t, line, "pass ...", 0) &&
	    pop_line(&t, "list", "list", 1) && pop_line(&t, "quit", "quit", 0);
	talk_close(&t);
	verdict(good, "a mailbox is read by POP3");
}

static void
door(char const *address, char const *port, unsigned int usual,
    struct ipaddr *a, unsigned int *p)
{
	stralloc s = STRALLOC_ZERO;

	*p = checks_setting(port, usual);
	if (control_line(address, &s) != 1 || !ipaddr_scan(s.s, s.len, a))
		ipaddr_scan("127.0.0.1", 9, a);
	stralloc_free(&s);
}

static void
options(int argc, char *const *argv)
{
	size_t n;

	if (argc == 3 && strcmp(argv[1], "-u") == 0) {
		o.user = argv[2];
		if (!fgets(o.password, sizeof o.password, stdin))
			strerr_dief1x(EXIT_USAGE, "no password");
		n = strcspn(o.password, "\r\n");
		o.password[n] = 0;
	} else if (argc != 1)
		strerr_dieusage(EXIT_USAGE, USAGE);
}

/* Tries a running server in the way an administrator would by hand, and
 * prints a report: services and ports, DNS lists, relaying, the content
 * filter, POP3.
 *
 * Runs as: root
 * Reads:   settings; what our own doors and programs answer
 * Writes:  standard output; a message into the quarantine, which it deletes
 * Trusts:  the programs of this installation
 * Trusted by: the administrator
 */
int
main(int argc, char *const *argv)
{
	struct machine m = MACHINE_ZERO;
	time_t now = time(0);
	int r;

	sig_ignore(SIGPIPE);
	options(argc, argv);
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	setenv("POSTERN_HOME", home_path(), 1);
	r = checks_prepare(&m);
	if (r == 0)
		strerr_dief1x(EXIT_TEMP, "control/me names no host");
	if (r == -1)
		strerr_diefu1sys(EXIT_TEMP, "read control/me, users/mailbox "
		    "or the addresses of this machine");
	o.domain = m.domains.len ? m.domains.s : m.me.s;
	door("control/smtpaddress", "control/smtpport", 25, &o.smtp,
	    &o.smtp_port);
	door("control/pop3address", "control/pop3port", 110, &o.pop3,
	    &o.pop3_port);
	snprintf(o.mark, sizeof o.mark, "systemtest-%lx-%lx",
	    (unsigned long)now, (unsigned long)getpid());
	printf("System test of %s, %s", m.me.s, ctime(&now));
	open_ports();
	lists();
	relay(&m);
	content();
	pop3();
	printf("\n%u tests, %u failed\n", tests, failed);
	if (fflush(stdout))
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	return failed ? EXIT_FAILED : EXIT_DONE;
}
