#include "send/notice.h"

#include <string.h>

#include "tests/unit/tap.h"

static int
status(char const *report, char const *want)
{
	char out[16];

	notice_status(report, '5', out);
	return strcmp(out, want) == 0;
}

static void
test_delay(void)
{
	static char const delays[] = "j@b.example\0Not now. (#5.4.1)\n";
	struct notice n = { "h.example", "MAILER-DAEMON", "s@a.example",
	    "s@a.example", 0, 1700604800, 1, 1700086400, 1700000000,
	    "BOUNDARY", delays, sizeof delays };
	stralloc out = STRALLOC_ZERO;

	ok(notice_head(&n, &out) == 1 && stralloc_0(&out) &&
	    strstr(out.s, "\nSubject: delivery delayed\n") &&
	    strstr(out.s, "\nAction: delayed\nStatus: 4.4.1\n") &&
	    strstr(out.s, "\nWill-Retry-Until: 21 Nov 2023 22:13:20 -0000\n"),
	    "a delay is told as one");
	stralloc_free(&out);
}

static void
test_status(void)
{
	ok(status("Sorry. (#5.1.1)\n", "5.1.1"), "qmail's way, (#5.1.1)");
	ok(status("Not now. (#4.2.0)\ntoo long.\n", "5.2.0"),
	    "a 4 that was given up is a 5");
	ok(status("it said: 550 5.7.1 no\n", "5.7.1"), "a server's reply");
	ok(status("550-5.7.26 no\n", "5.7.26"), "with a dash");
	ok(status("No.\n", "5.0.0"), "none");
	ok(status("(#5.1) (#x) (#5.1.) (#5.1234.1)", "5.0.0"), "malformed");
	ok(status("1550 5.7.1", "5.0.0"), "no reply code");
	ok(status("(#", "5.0.0") && status("550", "5.0.0") &&
	    status("", "5.0.0"), "cut short");
}

static void
test_hostile(void)
{
	struct notice n = { "h.example", "MAILER-DAEMON", "s@a.example",
	    "s@a.example", 0, 0, 0, 0, 0, "BOUNDARY", 0, 0 };
	static char const failures[] =
	    "a\nBcc: x@y\0" "line\n\n\n\r\nStatus: 2.0.0\n\x1b[2J\xff\n";
	stralloc out = STRALLOC_ZERO;

	n.failures = failures;
	n.failures_len = sizeof failures;
	ok(notice_head(&n, &out) == 1 && stralloc_0(&out), "is made");
	ok(strstr(out.s, "<a_Bcc: x@y>:\nline\n/\n/\n?\n") != 0,
	    "LF in an address is _, an empty line of a report is /");
	ok(!strstr(out.s, "\nBcc:") &&
	    !strstr(strstr(out.s, "/delivery-status\n\n"), "\nStatus: 2"),
	    "no line of a report starts a field");
	ok(!strchr(out.s, '\x1b') && !strchr(out.s, '\xff'),
	    "no control byte and no 8-bit byte");
	stralloc_free(&out);
}

int
main(void)
{
	test_status();
	test_hostile();
	test_delay();
	return tap_done();
}
