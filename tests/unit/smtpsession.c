#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/limits.h"
#include "tests/unit/smtpfake.h"
#include "tests/unit/tap.h"

#define HELO "EHLO c.example\r\n"
#define MAIL "MAIL FROM:<s@client.example>\r\n"
#define RCPT "RCPT TO:<u@here.example>\r\n"
#define UPTO HELO MAIL RCPT "DATA\r\n"
#define QUIT "QUIT\r\n"

static void
put(char const *file, char const *content)
{
	if (!openwritenclose_unsafe(file, content, strlen(content)))
		_exit(111);
}

/* Appends to a session that is being written; where it ends now. */
static int
add(char *s, int at, char const *what)
{
	size_t n = strlen(what);

	memcpy(s + at, what, n + 1);
	return at + n;
}

static int
run(char const *in)
{
	return fake_run(in, strlen(in));
}

/* Does what the client got end in that? */
static int
ends(char const *want)
{
	size_t n = strlen(want);

	return fake.out.len >= n &&
	    memcmp(fake.out.s + fake.out.len - n, want, n) == 0;
}

static int
has(stralloc *all, char const *want)
{
	return stralloc_readyplus(all, 1) &&
	    memmem(all->s, all->len, want, strlen(want)) != 0;
}

/* A session of these commands, and then the reply that came last. */
static int
last(char const *in, char const *want)
{
	fake_reset();
	run(in);
	return ends(want);
}

static void
greeting(void)
{
	ok(last("", "220 mx.here.example hello ESMTP\r\n"), "greeting");
	ok(last(HELO, "250-mx.here.example\r\n250-PIPELINING\r\n"
	    "250-8BITMIME\r\n250-SIZE 1000\r\n250 ENHANCEDSTATUSCODES\r\n"),
	    "EHLO");
	ok(last("helo c\r\n", "250 mx.here.example\r\n"), "HELO");
	ok(last("HELO\r\n", "501 5.5.4 give your host name, of at most 255 "
	    "characters (#5.5.4)\r\n"), "HELO without a name");
	ok(last("QUIT\r\n", "221 2.0.0 mx.here.example\r\n"), "QUIT");
	fake_reset();
	ok(run("QUIT\r\nNOOP\r\n") == 1 && !ends("ok\r\n"),
	    "nothing is read behind QUIT");
	ok(last("NOOP\n", "250 2.0.0 ok\r\n"), "a command that ends in LF");
	ok(last(HELO MAIL RCPT "EHLO\r\n" "DATA\r\n", "354 go ahead\r\n"),
	    "a refused EHLO changes nothing");
	ok(last("VRFY x\r\n", "252 2.0.0 send some mail, i'll try my best\r\n"),
	    "VRFY");
	ok(last("HELP\r\n", "understands\r\n"), "HELP");
	ok(last("RSET\r\n", "250 2.0.0 flushed\r\n"), "RSET");
	ok(last("TURN\r\n", "502 5.5.1 unimplemented (#5.5.1)\r\n"), "unknown");
	ok(last("\r\n", "502 5.5.1 unimplemented (#5.5.1)\r\n"), "empty line");
	ok(last("NO\rOP\r\n", "500 5.5.2 control character in command "
	    "(#5.5.2)\r\n"), "CR within a command");
	ok(last("MAIL FROM:<a\033@b>\r\n", "(#5.5.2)\r\n"),
	    "ESC in an address");
}

static void
mail(void)
{
	ok(last(HELO MAIL, "250 2.1.0 ok\r\n"), "MAIL");
	ok(last(MAIL, "250 2.1.0 ok\r\n"), "MAIL without HELO");
	ok(last("mail from: <> size=10 body=8bitmime\r\n", "2.1.0 ok\r\n"),
	    "null sender, parameters, small letters");
	ok(last("MAIL <a@b>\r\n", "555 5.5.4 syntax error (#5.5.4)\r\n"),
	    "MAIL without FROM");
	ok(last("MAIL FROM:<a@b\r\n", "555 5.5.4 syntax error in mail address "
	    "(#5.5.4)\r\n"), "malformed sender");
	ok(last(MAIL MAIL, "503 5.5.1 one MAIL at a time (#5.5.1)\r\n"),
	    "MAIL twice");
	ok(last(MAIL "RSET\r\n" MAIL, "250 2.1.0 ok\r\n"), "MAIL after RSET");
	ok(last("MAIL FROM:<a@b> SIZE=1000\r\n", "250 2.1.0 ok\r\n"),
	    "SIZE at the limit");
	ok(last("MAIL FROM:<a@b> SIZE=1001\r\n", "552 5.3.4 sorry, that message"
	    " size exceeds my databytes limit (#5.3.4)\r\n"), "SIZE beyond it");
	ok(last("MAIL FROM:<a@b> SIZE=99999999999999999999\r\n",
	    "limit (#5.3.4)\r\n"), "SIZE of 20 digits");
	ok(last("MAIL FROM:<a@b> SIZE=999999999999999999999\r\n",
	    "501 5.5.4 syntax error in value of parameter (#5.5.4)\r\n"),
	    "SIZE of 21 digits");
	ok(last("MAIL FROM:<a@b> SIZE=-1\r\n", "parameter (#5.5.4)\r\n"),
	    "SIZE not a number");
	ok(last("MAIL FROM:<a@b> BODY=BINARYMIME\r\n",
	    "parameter (#5.5.4)\r\n"),
	    "unknown BODY");
	ok(last("MAIL FROM:<a@b> AUTH=<>\r\n", "555 5.5.4 syntax error: "
	    "parameter not recognized (#5.5.4)\r\n"), "unknown parameter");
}

static int
rcpt(char const *address, char const *want)
{
	char s[1200];

	snprintf(s, sizeof s, MAIL "RCPT TO:%s\r\n", address);
	return last(s, want);
}

static void
recipients(void)
{
	static char const relay[] = "553 5.7.1 we don't relay (#5.7.1)\r\n";
	static char const foreign[] = "553 5.7.1 sorry, that domain isn't in "
	    "my list of allowed rcpthosts (#5.7.1)\r\n";
	static char const good[] = "250 2.1.5 ok\r\n";

	ok(last(RCPT, "503 5.5.1 MAIL first (#5.5.1)\r\n"), "RCPT before MAIL");
	ok(rcpt("<u@here.example>", good), "a mailbox of ours");
	ok(rcpt("<postmaster>", good), "postmaster without a domain");
	ok(rcpt("<>", "(#5.5.4)\r\n"), "no recipient");
	ok(rcpt("<u@here.example> NOTIFY=NEVER", "recognized (#5.5.4)\r\n"),
	    "a parameter of RCPT");
	ok(rcpt("<nobody@here.example>", "550 5.1.1 sorry, no mailbox here by "
	    "that name (#5.1.1)\r\n"), "no such mailbox");
	ok(rcpt("<off@here.example>", "550 5.2.1 sorry, that mailbox is "
	    "disabled (#5.2.1)\r\n"), "a disabled mailbox");
	ok(rcpt("<full@here.example>", "452 4.2.2 sorry, that mailbox is full "
	    "(#4.2.2)\r\n"), "a full mailbox");
	ok(rcpt("<over@here.example>", "552 5.2.2 sorry, that mailbox is full "
	    "(#5.2.2)\r\n"), "a full mailbox, for good");
	ok(rcpt("<trouble@here.example>", "451 4.3.0 unable to verify "
	    "recipient, try again later (#4.3.0)\r\n"), "trouble with tables");
	ok(rcpt("<u@elsewhere.example>", foreign), "a foreign domain");
	ok(rcpt("<u@backup.example>", good), "a foreign domain in rcpthosts");
	ok(rcpt("<u@a.wide.example>", good), "a suffix in rcpthosts");
	ok(rcpt("<u@wide.example>", foreign), "a suffix is not its own name");
	ok(rcpt("<bad@here.example>", "553 5.7.1 sorry, that recipient is in "
	    "my badrcptto list (#5.7.1)\r\n"), "badrcptto");
	ok(rcpt("<u%elsewhere.example@here.example>", relay), "percent");
	ok(rcpt("<elsewhere.example!u@here.example>", relay), "bang");
	ok(rcpt("<u@elsewhere.example@here.example>", relay), "two at signs");
	ok(rcpt("<\"u@elsewhere.example\"@here.example>", relay),
	    "a quoted at sign");
	ok(rcpt("<u%elsewhere.example>", relay), "percent, no domain");
	ok(rcpt("<\"u@elsewhere.example\">", foreign),
	    "a quoted at sign, no domain");
	ok(rcpt("<@here.example:u@elsewhere.example>", foreign),
	    "a source route");
	ok(rcpt("<u@[192.0.2.1]>", good), "our IP address");
	ok(rcpt("<u@[0.0.0.0]>", good), "0.0.0.0");
	ok(rcpt("<u@[IPv6:::]>", good), "the IPv6 address of nobody");
	ok(rcpt("<u@[192.0.2.2]>", foreign), "another IP address");
	ok(rcpt("<u%x@[192.0.2.1]>", relay), "percent and our IP address");
	ok(rcpt("<u@[]>", foreign), "an empty literal");
	ok(last("MAIL FROM:<spam@evil.example>\r\n", "250 2.1.0 ok\r\n"),
	    "badmailfrom is not told at MAIL");
	ok(last("MAIL FROM:<spam@evil.example>\r\n" RCPT, "553 5.7.1 sorry, "
	    "your envelope sender is in my badmailfrom list (#5.7.1)\r\n"),
	    "badmailfrom, by its domain");
	ok(last("EHLO bad.helo\r\n" MAIL RCPT, "553 5.7.1 sorry, your host "
	    "name is in my badhelo list (#5.7.1)\r\n"), "badhelo");
}

static int
relayed(char const *value, char const *in)
{
	fake_reset();
	fake.client.relay = value;
	run(in);
	return ends("250 2.1.5 ok\r\n");
}

static void
relaying(void)
{
	ok(relayed("", MAIL "RCPT TO:<u@elsewhere.example>\r\n"),
	    "a relay client");
	ok(relayed("", MAIL "RCPT TO:<u%x@elsewhere.example>\r\n"),
	    "a relay client's percent");
	ok(relayed("", MAIL "RCPT TO:<u@[192.0.2.77]>\r\n"),
	    "a relay client's literal");
	ok(!relayed("", MAIL "RCPT TO:<nobody@here.example>\r\n"),
	    "a relay client's mistake");
	fake_reset();
	fake.client.relay = ".gateway";
	run(HELO MAIL RCPT "DATA\r\n.\r\n");
	ok(fake.messages == 1 && has(&fake.queued, "Tu@here.example.gateway"),
	    "RELAYCLIENT's value is appended");
}

static void
listed(void)
{
	fake_reset();
	fake.client.listed = "you are\rlisted";
	run(MAIL RCPT);
	ok(ends("451 4.7.1 you are?listed\r\n"), "RBLSMTPD, for a time");
	fake_reset();
	fake.client.listed = "-listed";
	run(MAIL RCPT);
	ok(ends("553 5.7.1 listed\r\n"), "RBLSMTPD, for good");
	fake_reset();
	fake.client.listed = "";
	run(MAIL RCPT);
	ok(ends("250 2.1.5 ok\r\n"), "RBLSMTPD, empty");
}

static void
received(void)
{
	fake_reset();
	run(UPTO "Subject: x\r\n\r\n..dot\r\n.\r\n" QUIT);
	ok(ends("354 go ahead\r\n250 2.0.0 ok 1795355521 qp 4711\r\n"
	    "221 2.0.0 mx.here.example\r\n"), "a message: replies");
	stralloc_0(&fake.queued);
	fake.queued.len--;
	ok(!memcmp(fake.queued.s, "Received: from client.example (HELO "
	    "c.example) (192.0.2.9)\n  by mx.here.example with ESMTP id s-1; "
	    "22 Nov 2026 13:52:01 -0000\nSubject: x\n\n.dot\n"
	    "Fs@client.example\0Tu@here.example\0\n--\n", fake.queued.len),
	    "a message: what is queued");
	fake_reset();
	fake.client.info = "joe(";
	fake.client.local_host = 0;
	run("HELO CLIENT.example\r\n" MAIL RCPT "DATA\r\n.\r\n");
	ok(has(&fake.queued, "from client.example (joe?@192.0.2.9)\n  by "
	    "mx.here.example with SMTP id"), "ident, HELO as the host's name");
	fake_reset();
	fake.client.host = 0;
	run("EHLO x(\"\\\200 Bcc: y\r\n" MAIL RCPT "DATA\r\n.\r\n");
	ok(has(&fake.queued, "from unknown (HELO x?????Bcc:?y) (192"),
	    "unsafe characters in HELO");
}

static void
data(void)
{
	static char const bytes[] = UPTO "a\0b\377\r\n.\r\n";

	ok(last("DATA\r\n", "503 5.5.1 MAIL first (#5.5.1)\r\n"),
	    "DATA before MAIL");
	ok(last(MAIL "DATA\r\n", "503 5.5.1 RCPT first (#5.5.1)\r\n"),
	    "DATA before RCPT");
	ok(last(UPTO ".\r\nDATA\r\n", "MAIL first (#5.5.1)\r\n"),
	    "a transaction ends with its message");
	fake_reset();
	fake_run(bytes, sizeof bytes - 1);
	ok(fake.messages == 1 && memmem(fake.queued.s, fake.queued.len,
	    "\na\0b\377\nFs", 8), "all bytes are kept");
	fake_reset();
	fake.no_open = "451 qq temporary problem (#4.3.0)";
	run(UPTO);
	ok(ends("451 4.3.0 qq temporary problem (#4.3.0)\r\n") &&
	    !fake.messages, "the queue cannot be opened");
	fake_reset();
	fake.refusal = "554 contains\na virus";
	ok(run(UPTO ".\r\n" "NOOP\r\n") == 1 && !fake.messages &&
	    ends("554 5.3.0 contains?a virus\r\n250 2.0.0 ok\r\n"),
	    "the queue refuses");
	fake_reset();
	fake.refusal = "554 no spam (#5.7.1)";
	run(UPTO ".\r\n");
	ok(ends("\r\n554 5.7.1 no spam (#5.7.1)\r\n"),
	    "with a code of its own");
	fake_reset();
	ok(run(UPTO "half a mess") == 1 && fake.aborted == 1 && !fake.messages,
	    "end of input within a message");
	fake_reset();
	fake.then = ECONNRESET;
	ok(run(UPTO "half a mess") == -1 && errno == ECONNRESET &&
	    fake.aborted == 1, "a reset within a message");
	fake_reset();
	fake.then = ETIMEDOUT;
	ok(run(UPTO "half a mess") == -1 && errno == ETIMEDOUT &&
	    ends("421 4.4.2 timeout (#4.4.2)\r\n") && fake.aborted == 1,
	    "a timeout within a message");
}

static void
sizes(void)
{
	static char s[4000];
	unsigned int i;
	int n = sizeof UPTO - 1;

	memcpy(s, UPTO, n);
	memset(s + n, 'x', 1001);
	memcpy(s + n + 998, "\r\n.\r\n", 6);
	fake_reset();
	run(s);
	ok(fake.messages == 1, "a message of databytes less one");
	memset(s + n, 'x', 1001);
	memcpy(s + n + 1000, "\r\n.\r\nNOOP\r\n", 12);
	fake_reset();
	run(s);
	ok(!fake.messages && fake.aborted == 1 &&
	    ends("(#5.3.4)\r\n250 2.0.0 ok\r\n"), "one of databytes and one");
	for (i = 99; i <= 100; i++) {
		int at = n;
		unsigned int k;

		for (k = 0; k < i; k++)
			at = add(s, at, k & 1 ? "received:\r\n" :
			    k == 50 ? "Delivered-To:\r\n" : "RECEIVED:\r\n");
		add(s, at, "\r\nReceived:\r\n.\r\n");
		fake_policy.databytes = 0;
		fake_reset();
		run(s);
		fake_policy.databytes = 1000;
		ok(i == 100 ? !fake.messages && ends("554 5.4.6 too many hops, "
		    "this message is looping (#5.4.6)\r\n") :
		    fake.messages == 1, i == 100 ? "100 hops" : "99 hops");
	}
}

/* What stands between CR LF pairs must be LF-free, and only the true end
 * ends: all strings of up to 5 of these bytes behind a line. */
static int
smuggle(char const *mid, int n)
{
	static char s[1000];
	char const after[] = "MAIL FROM:<evil@client.example>\r\n"
	    "RCPT TO:<u@here.example>\r\nDATA\r\nx\r\n.\r\n";
	int at = add(s, 0, UPTO "line\r\n"), i, stray = 0, end = -1;

	memcpy(s + at, mid, n);
	for (i = 0; i < n && end < 0; i++) {
		if (mid[i] == '\n' && (!i || mid[i-1] != '\r'))
			stray = 1;
		if (mid[i] == '\r' && i + 1 < n && mid[i+1] != '\n')
			stray = 1;
		if (mid[i] == '\n' && i >= 2 && mid[i-1] == '\r' &&
		    mid[i-2] == '.' && (i == 2 || (i >= 4 && mid[i-3] == '\n' &&
		    mid[i-4] == '\r')))
			end = i;
	}
	if (mid[n-1] == '\r' && end < 0)
		stray = 1;	/* the M of MAIL follows */
	memcpy(s + at + n, after, sizeof after);
	fake_reset();
	run(s);
	if (stray)
		return !fake.messages && fake.opened == 1 &&
		    ends("(#5.6.0)\r\n");
	/* where mid ends the message: that one, and perhaps the next; else
	 * the commands are text, up to their dot */
	if (end < 0)
		return fake.messages == 1 && has(&fake.queued, "\nDATA\nx\n");
	return fake.messages >= 1 && !has(&fake.queued, "DATA");
}

static void
smuggling(void)
{
	static char const set[] = "\r\n.x";
	char mid[5];
	int n, good = 1, tried = 0;
	unsigned int i, k;

	for (n = 1; n <= 5; n++)
		for (i = 0; i < 1u << 2 * n; i++) {
			for (k = 0; k < (unsigned int)n; k++)
				mid[k] = set[i >> 2 * k & 3];
			tried++;
			if (!smuggle(mid, n))
				good = 0;
		}
	ok(good && tried == 1364, "nothing but CR LF . CR LF ends a message");
	fake_reset();
	fake.then = ETIMEDOUT;
	ok(run(UPTO "a\n.\n") == 0 && ends("554 5.6.0 bare LF in message: "
	    "lines end in CR LF, see RFC 5321 2.3.8 (#5.6.0)\r\n"),
	    "a client that ends with bare LF is told");
	fake_reset();
	ok(run(UPTO "a\rb\r\n.\r\nNOOP\r\n") == 0 && ends("(#5.6.0)\r\n"),
	    "a bare CR ends the session");
}

static void
limits(void)
{
	static char s[200000];
	int at, i;

	memset(s, 'x', 3000);
	add(s, 3000, "\r\nNOOP\r\n");
	ok(last(s, "500 5.5.2 command line too long (#5.5.2)\r\n"
	    "250 2.0.0 ok\r\n"), "a line that is too long");
	for (at = i = 0; i < 30; i++)
		at = add(s, at, "BAD\r\n");
	fake_reset();
	ok(run(s) == 0 &&
	    ends("(#5.5.1)\r\n421 4.7.0 too many errors (#4.7.0)\r\n"),
	    "too many errors");
	ok(fake.paused == 55 && fake.pos == fake.n,
	    "errors cost more and more");
	for (at = i = 0; i < 150; i++)
		at = add(s, at, "NOOP\r\n");
	fake_reset();
	ok(run(s) == 0 && ends("ok\r\n421 4.7.0 too many commands without mail "
	    "(#4.7.0)\r\n"), "too many commands that lead to nothing");
	at = add(s, 0, HELO);
	for (i = 0; i < 98; i++)
		at = add(s, at, "NOOP\r\n");
	at = add(s, at, MAIL RCPT "DATA\r\n.\r\n");
	for (i = 0; i < 99; i++)
		at = add(s, at, "NOOP\r\n");
	ok(last(s, "250 2.0.0 ok\r\n"), "a message makes up for them");
	at = add(s, 0, MAIL);
	for (i = 0; i < 1500; i++)
		at = add(s, at, RCPT);
	add(s, at, "DATA\r\n.\r\n");
	fake_reset();
	run(s);
	ok(has(&fake.out, "452 4.5.3 too many recipients (#4.5.3)\r\n") &&
	    fake.messages == 1 && ends("qp 4711\r\n"),
	    "1,500 recipients: a thousand get it");
	fake_reset();
	fake.then = ETIMEDOUT;
	ok(run("NOOP\r\nNO") == -1 && ends("ok\r\n421 4.4.2 timeout "
	    "(#4.4.2)\r\n"), "a timeout within a command");
}

/* Time stands still for the client that drips. */
static ssize_t
drip(io *i, char *s, size_t max)
{
	if (fake.pos >= sizeof UPTO - 1)
		fake.clock += 50;
	if (fake.clock >= i->deadline && i->deadline) {
		errno = ETIMEDOUT;
		return -1;
	}
	return fake_recv(i, s, max);
}

static void
slow(void)
{
	static char s[4000];
	int at = add(s, 0, UPTO);

	memset(s + at, 'x', sizeof s - at - 1);
	fake_reset();
	fake.piece = 1;
	fake.io.recv = drip;
	ok(run(s) == -1 && errno == ETIMEDOUT && fake.clock <= 1300,
	    "a byte every 50 seconds is too slow for a message");
}

static void
no_settings(void)
{
	struct policy keep = fake_policy;
	static struct policy const none = POLICY_ZERO;

	fake_policy = none;
	rename("control/me", "control/me.away");
	rename("control/smtpgreeting", "control/greeting.away");
	ok(last("NOOP\r\n", "421 4.3.0 unable to read controls (#4.3.0)\r\n") &&
	    fake.out.len < 60, "no name, no service");
	rename("control/me.away", "control/me");
	ok(last("", "220 mx.example ESMTP\r\n"), "control/me is the greeting");
	fake_policy = none;
	put("control/databytes", "many\n");
	ok(last(MAIL, "unable to read controls (#4.3.0)\r\n"),
	    "databytes is not a number");
	unlink("control/databytes");
	unlink("control/rcpthosts");
	fake_policy = none;
	ok(rcpt("<u@here.example>", "250 2.1.5 ok\r\n"),
	    "no rcpthosts: domains of the tables");
	ok(rcpt("<u@backup.example>", "rcpthosts (#5.7.1)\r\n"),
	    "no rcpthosts: no others");
	fake_policy = keep;
}

/* The same session in any pieces: same replies, same messages. */
static void
pieces(void)
{
	static char const in[] = HELO "NOOP\n" MAIL RCPT
	    "RCPT TO:<nobody@here.example>\r\nDATA\r\nReceived: x\r\n\r\n"
	    "..\r\n.x\r\n\r\n.\r\nBAD\r\n" MAIL RCPT "DATA\r\ny\r\n.\r\n"
	    MAIL RCPT "DATA\r\na\r\n.\rb\r\n.\r\n" QUIT;
	stralloc out = STRALLOC_ZERO, queued = STRALLOC_ZERO;
	size_t i;
	int good = 1;

	fake_reset();
	run(in);
	stralloc_copy(&out, &fake.out);
	stralloc_copy(&queued, &fake.queued);
	for (i = 0; i < sizeof in; i++) {
		fake_reset();
		fake.piece = i ? 0 : 1;
		fake.cut = i;
		run(in);
		good &= fake.out.len == out.len && fake.messages == 2 &&
		    !memcmp(fake.out.s, out.s, out.len) &&
		    fake.queued.len == queued.len &&
		    !memcmp(fake.queued.s, queued.s, queued.len);
	}
	ok(good, "one byte a read, and a split at every offset");
	for (i = 0; i < sizeof in - 1; i++) {
		fake_reset();
		fake_run(in, i);
		good &= !fake.open && fake.messages <= 2 &&
		    (!fake.messages || !memcmp(fake.queued.s, queued.s,
		    fake.queued.len));
	}
	ok(good, "end of input at every offset: nothing half");
	stralloc_free(&out);
	stralloc_free(&queued);
}

/* What went to the log, between fd 2 and a file. */
static void
logged(void)
{
	stralloc s = STRALLOC_ZERO;
	int fd = open("log", O_RDWR | O_CREAT | O_TRUNC, 0600), null = dup(2);
	size_t i;

	dup2(fd, 2);
	fake_reset();
	run("EHLO x\033]0;y %n\200\r\n" "EHLO x,\200%n\r\n" MAIL RCPT
	    "RCPT TO:<nobody@here.example>\r\nRCPT TO:<v@here.example>\r\n"
	    "RCPT TO:<a b@c>\r\nDATA\r\n.\r\n");
	dup2(null, 2);
	close(null);
	close(fd);
	if (!openslurpclose(&s, "log"))
		_exit(111);
	ok(has(&s, "\nsmtpd: info: refused session=s-1 ip=192.0.2.9 helo="
	    "x\\x2c\\x80%n from=<s@client.example> to=<nobody@here.example> "
	    "code=550 reason=no_mailbox\n"), "log: refused");
	ok(has(&s, "to=<u@here.example> size=0 qp=4711\n") &&
	    has(&s, "to=<v@here.example> size=0 qp=4711\n"), "log: accepted");
	ok(has(&s, "to=<<a\\x20b@c>>"), "log: a malformed address");
	for (i = 0; i < s.len; i++)
		if (s.s[i] != '\n' && (s.s[i] < 32 || s.s[i] > 126))
			break;
	ok(i == s.len, "log: printable");
	stralloc_free(&s);
}

int
main(void)
{
	char dir[] = "/tmp/smtpsession.XXXXXX";
	char rm[64];

	PROG = "smtpd";
	setenv("POSTERN_SESSION", "s-1", 1);
	if (!mkdtemp(dir) || chdir(dir) == -1 || mkdir("control", 0700) == -1)
		return 111;
	put("control/me", "mx.example\n");
	put("control/smtpgreeting", "mx.here.example hello\n");
	put("control/localiphost", "here.example\n");
	put("control/rcpthosts",
	    "here.example\nbackup.example\n.wide.example\n");
	put("control/badmailfrom", "@evil.example\n");
	put("control/badhelo", "bad.helo\n");
	put("control/badrcptto", "bad@here.example\n");
	setenv("DATABYTES", "1000", 1);
	if (!freopen("/dev/null", "w", stderr))
		return 111;
	greeting();
	mail();
	recipients();
	relaying();
	listed();
	received();
	data();
	sizes();
	smuggling();
	limits();
	slow();
	pieces();
	logged();
	unsetenv("DATABYTES");
	no_settings();
	if (chdir("/tmp") == -1)
		return 111;
	snprintf(rm, sizeof rm, "%s", dir);
	rm_rf(rm);
	return tap_done();
}
