#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/base64.h"
#include "tests/unit/smtpfake.h"
#include "tests/unit/tap.h"

#define EHLO "EHLO c.example\r\n"
/* "joe@here.example" and "secret", and others */
#define PLAIN "AUTH PLAIN AGpvZUBoZXJlLmV4YW1wbGUAc2VjcmV0\r\n"
#define LOGIN "AUTH LOGIN\r\n"
#define JOE "am9lQGhlcmUuZXhhbXBsZQ==\r\n"
#define KIM "a2ltQGhlcmUuZXhhbXBsZQ==\r\n"
#define SECRET "c2VjcmV0\r\n"
#define WRONG "d3Jvbmc=\r\n"
#define MAIL "MAIL FROM:<joe@here.example>\r\n"
#define FAR "RCPT TO:<u@far.example>\r\n"
#define GOOD "235 2.7.0 welcome\r\n"
#define REFUSED "535 5.7.8 wrong name or password (#5.7.8)\r\n"
#define MALFORMED "501 5.5.2 malformed base64 (#5.5.2)\r\n"
#define SEQUENCE "(#5.5.1)\r\n"

enum { CLEAR = 1, TLS_ON = 2, TLS_OFFERED = 4 };

static void
put(char const *file, char const *content)
{
	if (!openwritenclose_unsafe(file, content, strlen(content)))
		_exit(111);
}

static int
run(int how, char const *in)
{
	fake_reset();
	fake_users();
	fake_policy.auth &= ~POLICY_CLEAR;
	fake_policy.auth |= how & CLEAR ? POLICY_CLEAR : 0;
	if (how & TLS_ON)
		fake.client.tls.protocol = "TLSv1.3";
	if (how & TLS_OFFERED) {
		fake.back.starttls = fake_starttls;
		/* nothing in one piece: a client waits for replies */
		fake.piece = 1;
	}
	return fake_run(in, strlen(in));
}

/* Does what the client got end in that? */
static int
last(int how, char const *in, char const *want)
{
	size_t n = strlen(want);

	run(how, in);
	return fake.out.len >= n &&
	    memcmp(fake.out.s + fake.out.len - n, want, n) == 0;
}

static int
has(stralloc *all, char const *want)
{
	return stralloc_readyplus(all, 1) &&
	    memmem(all->s, all->len, want, strlen(want)) != 0;
}

static int
offers(int how, unsigned int mechanisms, char const *what)
{
	unsigned int keep = fake_policy.auth;

	fake_policy.auth = mechanisms;
	run(how, EHLO);
	fake_policy.auth = keep;
	return has(&fake.out, what);
}

static void
offer(void)
{
	ok(offers(CLEAR, POLICY_PLAIN, "250-AUTH PLAIN LOGIN\r\n"),
	    "allowed in clear");
	ok(offers(TLS_ON, POLICY_PLAIN | POLICY_CRAM,
	    "250-AUTH PLAIN LOGIN CRAM-MD5\r\n"), "under TLS");
	ok(offers(TLS_ON, POLICY_CRAM, "250-AUTH CRAM-MD5\r\n"),
	    "CRAM-MD5 alone");
	ok(!offers(TLS_ON, POLICY_REQUIRED, "AUTH"), "none");
	ok(!offers(0, POLICY_PLAIN | POLICY_CRAM, "AUTH"), "not in clear");
	ok(offers(TLS_OFFERED, POLICY_PLAIN, "250-STARTTLS\r\n"), "STARTTLS");
	ok(!offers(TLS_ON | TLS_OFFERED, POLICY_PLAIN, "STARTTLS"),
	    "no STARTTLS when it is on");
	run(CLEAR, EHLO PLAIN EHLO);
	fake.out.s[fake.out.len - 1] = 0;
	ok(!strstr(strstr(fake.out.s, "235 "), "AUTH"),
	    "no AUTH once somebody has logged in");
}

/* The last reply to these bytes, behind "AUTH MECHANISM" and what is next. */
static int
says(char const *how, char const *bytes, size_t n, char const *want)
{
	static char s[2000];
	stralloc coded = STRALLOC_ZERO;

	if (base64_encode(&coded, bytes, n) == -1 || !stralloc_0(&coded))
		_exit(111);
	snprintf(s, sizeof s, EHLO "AUTH %s%s\r\n", how, coded.s);
	stralloc_free(&coded);
	return last(CLEAR, s, want);
}

#define PLAINLY(bytes, want) says("PLAIN ", bytes, sizeof bytes - 1, want)

static void
plain(void)
{
	static char longer[600] = "\0joe@here.example";

	memset(longer + 18, 'x', sizeof longer - 19);
	ok(PLAINLY("\0joe@here.example\0secret", GOOD),
	    "PLAIN, initial response");
	ok(says("plain\r\n", "\0joe@here.example\0secret", 24, GOOD) &&
	    has(&fake.out, "\r\n334 \r\n"), "PLAIN, after 334");
	ok(PLAINLY("joe@here.example\0joe@here.example\0secret", GOOD),
	    "PLAIN, identity as the name");
	ok(PLAINLY("boss\0joe@here.example\0secret", REFUSED) &&
	    !fake.logins, "PLAIN, as somebody else");
	ok(PLAINLY("\0joe@here.example\0", REFUSED) && !fake.logins,
	    "PLAIN, empty password: nobody is asked");
	ok(PLAINLY("\0\0secret", REFUSED) && !fake.logins,
	    "PLAIN, empty name");
	ok(PLAINLY("\0joe@here.example\0secret\0", MALFORMED),
	    "PLAIN, three NULs");
	ok(PLAINLY("joe@here.example\0secret", MALFORMED), "PLAIN, one NUL");
	ok(PLAINLY("joe@here.example", MALFORMED), "PLAIN, no NUL");
	ok(last(CLEAR, EHLO "AUTH PLAIN =\r\n", MALFORMED), "PLAIN, empty");
	ok(PLAINLY("\0joe@here\n\0secret", REFUSED) && !fake.logins,
	    "PLAIN, LF in the name");
	ok(PLAINLY("\0joe@here.example\0" "a\nb", REFUSED) &&
	    fake.logins == 1, "PLAIN, LF in the password");
	ok(PLAINLY(longer, REFUSED) && !fake.logins,
	    "PLAIN, more than 512 bytes");
	ok(last(CLEAR, EHLO "AUTH PLAIN AGpvZQBz*\r\n", MALFORMED) &&
	    last(CLEAR, EHLO "AUTH PLAIN AGpvZQB\r\n", MALFORMED) &&
	    last(CLEAR, EHLO "AUTH PLAIN AGpv=QBz\r\n", MALFORMED) &&
	    last(CLEAR, EHLO "AUTH PLAIN AGpvZR==\r\n", MALFORMED),
	    "base64 is strict");
	ok(last(CLEAR, EHLO "AUTH PLAIN x y\r\n",
	    "501 5.5.4 syntax error (#5.5.4)\r\n"), "two arguments");
	ok(last(CLEAR, EHLO "AUTH\r\n",
	    "501 5.5.4 syntax error (#5.5.4)\r\n"), "no mechanism");
	ok(last(CLEAR, EHLO "AUTH SCRAM-SHA-256\r\n",
	    "504 5.5.4 no such mechanism here (#5.5.4)\r\n") &&
	    last(CLEAR, EHLO "AUTH PLAINTEXT\r\n", "(#5.5.4)\r\n"),
	    "unknown mechanism");
}

static void
login(void)
{
	ok(last(CLEAR, EHLO LOGIN JOE SECRET, GOOD) && has(&fake.out,
	    "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"), "LOGIN");
	ok(last(CLEAR, EHLO "AUTH LOGIN " JOE SECRET, GOOD),
	    "LOGIN, initial response");
	ok(last(CLEAR, EHLO LOGIN JOE WRONG, REFUSED), "LOGIN, wrong");
	ok(last(CLEAR, EHLO LOGIN JOE "\r\n", REFUSED) && !fake.logins,
	    "LOGIN, empty password");
	ok(last(CLEAR, EHLO LOGIN "*\r\n",
	    "501 5.7.0 cancelled (#5.7.0)\r\n") &&
	    last(CLEAR, EHLO LOGIN JOE "*\r\n", "(#5.7.0)\r\n") &&
	    !fake.logins, "LOGIN, cancelled");
	ok(last(CLEAR, EHLO LOGIN "am9lAG1h\r\n" SECRET, MALFORMED) &&
	    !fake.logins, "LOGIN, NUL in the name");
	ok(last(CLEAR, EHLO LOGIN "NOOP now\r\nNOOP\r\n",
	    "250 2.0.0 ok\r\n") && has(&fake.out, MALFORMED),
	    "a command in the place of an answer");
	ok(last(CLEAR, EHLO LOGIN JOE, "334 UGFzc3dvcmQ6\r\n") &&
	    !fake.logins, "LOGIN, and away");
	ok(last(CLEAR, EHLO LOGIN "dHJvdWJsZQ==\r\n" SECRET, "454 4.7.0 "
	    "unable to check passwords now, try again later (#4.7.0)\r\n"),
	    "trouble is temporary");
}

#define DIGEST "0123456789abcdef0123456789abcdef"
#define CRAM(bytes, want) says("CRAM-MD5\r\n", bytes, sizeof bytes - 1, want)

static void
cram(void)
{
	ok(CRAM("joe@here.example " DIGEST, GOOD) && has(&fake.out, "334 "
	    "PG9uY2UuMTc5NTM1NTUyMUBteC5oZXJlLmV4YW1wbGU+\r\n"), "CRAM-MD5");
	ok(CRAM("joe@here.example", MALFORMED), "CRAM-MD5, no blank");
	ok(CRAM("joe@here.example " DIGEST "\0", MALFORMED), "CRAM-MD5, NUL");
	ok(CRAM("joe@here.example " DIGEST "0", REFUSED), "CRAM-MD5, wrong");
	ok(says("CRAM-MD5 ", "joe " DIGEST, 36,
	    "501 5.5.4 syntax error (#5.5.4)\r\n"),
	    "CRAM-MD5 has no initial response");
	fake_policy.auth &= ~POLICY_CRAM;
	ok(CRAM("joe@here.example " DIGEST, "(#5.5.1)\r\n") &&
	    has(&fake.out, "504 5.5.4 "), "CRAM-MD5, not offered");
	fake_policy.auth |= POLICY_CRAM;
}

static void
order(void)
{
	static char line[12300];

	ok(last(CLEAR, PLAIN, "503 5.5.1 EHLO first " SEQUENCE) &&
	    last(CLEAR, "HELO x\r\n" PLAIN, SEQUENCE) && !fake.logins,
	    "AUTH before EHLO");
	ok(last(CLEAR, EHLO PLAIN PLAIN, "503 5.5.1 you are logged in already "
	    SEQUENCE) && fake.logins == 1, "AUTH twice");
	ok(last(CLEAR, EHLO MAIL PLAIN, "503 5.5.1 no AUTH within a "
	    "transaction " SEQUENCE), "AUTH within a transaction");
	ok(last(0, EHLO PLAIN, "538 5.7.11 encryption is required for that "
	    "(#5.7.11)\r\n") && !fake.logins, "AUTH in clear");
	run(CLEAR, EHLO LOGIN JOE WRONG LOGIN JOE WRONG LOGIN JOE WRONG
	    LOGIN JOE SECRET);
	ok(fake.logins == 3 && has(&fake.out, REFUSED "421 4.7.0 too many "
	    "failed logins (#4.7.0)\r\n"), "three failures");
	memset(line, 'A', sizeof line);
	memcpy(line, EHLO "AUTH PLAIN\r\n", 28);
	memcpy(line + sizeof line - 9, "\r\nNOOP\r\n", 9);
	ok(last(CLEAR, line, "500 5.5.6 line is too long (#5.5.6)\r\n"
	    "250 2.0.0 ok\r\n"), "12 KB of an answer");
	ok(last(CLEAR, EHLO PLAIN MAIL FAR, "250 2.1.5 ok\r\n"),
	    "commands behind AUTH");
	fake_policy.auth |= POLICY_REQUIRED;
	ok(last(CLEAR, EHLO MAIL, "530 5.7.0 AUTH first (#5.7.0)\r\n") &&
	    last(TLS_ON, MAIL, "AUTH first (#5.7.0)\r\n") &&
	    last(TLS_OFFERED, EHLO MAIL, "530 5.7.0 STARTTLS first "
	    "(#5.7.0)\r\n"), "required");
	ok(last(CLEAR, EHLO PLAIN MAIL, "250 2.1.0 ok\r\n"),
	    "required, and given");
	fake_policy.auth &= ~POLICY_REQUIRED;
}

static void
rights(void)
{
	static char const kim[] = EHLO LOGIN KIM SECRET
	    "MAIL FROM:<kim@here.example>\r\n";
	char s[1000];

	ok(last(CLEAR, EHLO MAIL FAR, "rcpthosts (#5.7.1)\r\n"),
	    "nobody relays");
	ok(last(CLEAR, EHLO LOGIN JOE WRONG MAIL FAR, "rcpthosts (#5.7.1)\r\n"),
	    "nor does who failed");
	ok(last(CLEAR, EHLO PLAIN MAIL FAR, "250 2.1.5 ok\r\n"),
	    "a user relays");
	snprintf(s, sizeof s, "%s" FAR, kim);
	ok(last(CLEAR, s, "rcpthosts (#5.7.1)\r\n"), "but who may not");
	snprintf(s, sizeof s, "%sRCPT TO:<u@here.example>\r\n", kim);
	ok(last(CLEAR, s, "250 2.1.5 ok\r\n"), "who may send here");
	ok(last(CLEAR, EHLO PLAIN "MAIL FROM:<Joe@Here.Example>\r\n",
	    "250 2.1.0 ok\r\n") && last(CLEAR, EHLO PLAIN
	    "MAIL FROM:<>\r\n", "250 2.1.0 ok\r\n"), "his own sender");
	ok(last(CLEAR, EHLO PLAIN "MAIL FROM:<boss@here.example>\r\n",
	    "553 5.7.1 sorry, that sender is not yours to use (#5.7.1)\r\n"),
	    "not his own");
	mkdir("users", 0700);
	put("users/cdb", "junk");
	ok(last(CLEAR, EHLO PLAIN "MAIL FROM:<joe@alias.example>\r\n",
	    "451 4.3.0 unable to look the sender up, try again later "
	    "(#4.3.0)\r\n"), "his own sender, perhaps");
	unlink("users/cdb");
	ok(last(CLEAR, EHLO PLAIN "MAIL FROM:<info@here.example>\r\n",
	    "250 2.1.0 ok\r\n") && last(CLEAR, EHLO PLAIN
	    "MAIL FROM:<x@shop.example>\r\n", "250 2.1.0 ok\r\n"),
	    "usersenders");
	ok(last(CLEAR, EHLO LOGIN KIM SECRET "MAIL FROM:<info@here.example>"
	    "\r\n", "use (#5.7.1)\r\n"), "usersenders, of others");
	ok(last(CLEAR, EHLO PLAIN "MAIL FROM:<joe@here.example> AUTH=<>\r\n",
	    "ok\r\n") && last(CLEAR, EHLO PLAIN "MAIL FROM:<joe@here.example>"
	    " AUTH=a+2Bb@c\r\n", "ok\r\n"), "AUTH= of MAIL");
	ok(last(CLEAR, EHLO PLAIN "MAIL FROM:<joe@here.example> AUTH=+0\r\n",
	    "value of parameter (#5.5.4)\r\n") && last(CLEAR, EHLO PLAIN
	    "MAIL FROM:<joe@here.example> AUTH=a=b\r\n",
	    "value of parameter (#5.5.4)\r\n"), "AUTH= of MAIL, malformed");
}

static void
limited(void)
{
	fake_reset();
	fake_users();
	fake.allowed = 0;
	fake_policy.auth |= POLICY_CLEAR;
	fake_run(EHLO PLAIN MAIL FAR "DATA\r\nx\r\n.\r\n",
	    strlen(EHLO PLAIN MAIL FAR "DATA\r\nx\r\n.\r\n"));
	ok(!fake.opened && has(&fake.out,
	    "452 4.5.3 sorry, that is too much (#4.5.3)\r\n"), "a limit");
}

static void
starttls(void)
{
	ok(last(TLS_OFFERED, EHLO "STARTTLS\r\n" EHLO PLAIN, GOOD) &&
	    fake.switched == 1, "AUTH after STARTTLS");
	ok(last(TLS_OFFERED, EHLO "STARTTLS\r\n" PLAIN,
	    "EHLO first (#5.5.1)\r\n"), "HELO is forgotten");
	ok(last(TLS_OFFERED | CLEAR, EHLO PLAIN "STARTTLS\r\n" EHLO MAIL FAR,
	    "rcpthosts (#5.7.1)\r\n"), "who logged in is forgotten");
	ok(last(TLS_OFFERED, EHLO MAIL "STARTTLS\r\nRCPT TO:<a@here.example>"
	    "\r\n", "MAIL first (#5.5.1)\r\n"),
	    "the transaction is forgotten");
	ok(last(TLS_OFFERED, EHLO "STARTTLS now\r\n",
	    "501 5.5.4 this command has no argument (#5.5.4)\r\n"),
	    "STARTTLS with an argument");
	ok(last(TLS_OFFERED, EHLO "STARTTLS\r\nSTARTTLS\r\n",
	    "503 5.5.1 this connection is encrypted already " SEQUENCE),
	    "STARTTLS twice");
	ok(last(TLS_OFFERED, "STARTTLS\r\n", "EHLO first " SEQUENCE),
	    "STARTTLS before EHLO");
	ok(last(0, EHLO "STARTTLS\r\n",
	    "502 5.5.1 unimplemented (#5.5.1)\r\n"), "STARTTLS, not offered");
	fake_reset();
	fake_users();
	fake.back.starttls = fake_starttls;
	ok(fake_run(EHLO "STARTTLS\r\nRSET\r\nRSET\r\n",
	    strlen(EHLO "STARTTLS\r\nRSET\r\nRSET\r\n")) == 0 &&
	    !fake.switched && has(&fake.out, "503 5.5.1 nothing may follow "
	    "STARTTLS before the reply " SEQUENCE) &&
	    !has(&fake.out, "flushed"), "what follows STARTTLS is not obeyed");
}

static void
received(void)
{
	run(TLS_OFFERED, EHLO "STARTTLS\r\n" EHLO PLAIN MAIL FAR
	    "DATA\r\nx\r\n.\r\n");
	ok(has(&fake.queued, "(192.0.2.9)\n  (authenticated as "
	    "joe@here.example)\n  by mx.here.example with ESMTPSA (TLSv1.3 "
	    "TLS_AES_256_GCM_SHA384) id s-1; "), "Received: ESMTPSA");
	run(CLEAR, EHLO PLAIN MAIL FAR "DATA\r\nx\r\n.\r\n");
	ok(has(&fake.queued, " with ESMTPA id "), "Received: ESMTPA");
	run(TLS_ON, EHLO MAIL "RCPT TO:<a@here.example>\r\nDATA\r\n.\r\n");
	ok(has(&fake.queued, " with ESMTPS (TLSv1.3) id "),
	    "Received: ESMTPS");
	fake_policy.hide_user = 1;
	run(CLEAR, EHLO PLAIN MAIL FAR "DATA\r\nx\r\n.\r\n");
	ok(!has(&fake.queued, "authenticated"), "Received: without the name");
	fake_policy.hide_user = 0;
}

static void
logged(void)
{
	stralloc s = STRALLOC_ZERO;
	int fd = open("log", O_RDWR | O_CREAT | O_TRUNC, 0600), null = dup(2);

	dup2(fd, 2);
	run(TLS_ON, EHLO LOGIN JOE WRONG PLAIN MAIL FAR
	    "DATA\r\nx\r\n.\r\n");
	dup2(null, 2);
	close(null);
	close(fd);
	if (!openslurpclose(&s, "log"))
		_exit(111);
	ok(has(&s, "info: refused session=s-1 ip=192.0.2.9 helo=c.example "
	    "tls=TLSv1.3 code=535 reason=auth login=joe@here.example "
	    "mechanism=login\n"), "log: a wrong password");
	ok(has(&s, "info: authenticated session=s-1 ip=192.0.2.9 "
	    "helo=c.example tls=TLSv1.3 user=joe@here.example "
	    "mechanism=plain\n"), "log: authenticated");
	ok(has(&s, " tls=TLSv1.3 user=joe@here.example from=<joe@here.example>"
	    " to=<u@far.example> size=2 qp=4711\n"), "log: accepted");
	ok(!has(&s, "secret") && !has(&s, "c2VjcmV0"), "log: no password");
	stralloc_free(&s);
}

/* $SMTPAUTH and $PLAINTEXTAUTH. */
static unsigned int
reads(char const *value, char const *clear)
{
	struct policy p = POLICY_ZERO;

	setenv("SMTPAUTH", value, 1);
	if (clear)
		setenv("PLAINTEXTAUTH", clear, 1);
	else
		unsetenv("PLAINTEXTAUTH");
	return policy_auth(&p) == 1 ? p.auth : 99;
}

static int
required(char const *value)
{
	struct policy p = POLICY_ZERO;

	setenv("SMTPAUTH", value, 1);
	unsetenv("PLAINTEXTAUTH");
	return policy_required(&p);
}

static void
settings(void)
{
	ok(reads("", "0") == POLICY_PLAIN && reads("-", "0") == 0 &&
	    reads("+cram", "0") == (POLICY_PLAIN | POLICY_CRAM) &&
	    reads("cram", "0") == POLICY_CRAM &&
	    reads("!", "0") == (POLICY_PLAIN | POLICY_REQUIRED) &&
	    reads("!cram", "0") == (POLICY_CRAM | POLICY_REQUIRED),
	    "$SMTPAUTH");
	ok(reads("yes", "0") == 99 && reads("!!", "0") == 99,
	    "$SMTPAUTH, unknown: no service");
	ok(reads("-", "") == POLICY_CLEAR && reads("-", "1") == POLICY_CLEAR,
	    "$PLAINTEXTAUTH");
	ok(reads("-", 0) == 0, "no control/plaintextauth");
	put("control/plaintextauth", "1\n");
	ok(reads("-", 0) == POLICY_CLEAR && reads("-", "0") == 0,
	    "control/plaintextauth");
	put("control/plaintextauth", "no number\n");
	ok(reads("-", 0) == 99, "control/plaintextauth is no number");
	ok(required("") == 0 && required("!") == 1 && required("yes") == -1,
	    "whether a login is required is asked without that file");
}

int
main(void)
{
	char dir[] = "/tmp/smtpauth.XXXXXX";
	char rm[64];

	PROG = "smtpd";
	setenv("POSTERN_SESSION", "s-1", 1);
	if (!mkdtemp(dir) || chdir(dir) == -1 || mkdir("control", 0700) == -1)
		return 111;
	put("control/me", "here.example\n");
	put("control/rcpthosts", "here.example\n");
	put("control/usersenders", "# some\njoe@here.example:info@here.example"
	    "\nJOE@here.example:@shop.example\nkim@here.example:x\n");
	if (!freopen("/dev/null", "w", stderr))
		return 111;
	settings();
	fake_policy.auth = POLICY_PLAIN | POLICY_CRAM;
	fake_policy.knows_auth = 1;
	offer();
	plain();
	login();
	cram();
	order();
	rights();
	limited();
	starttls();
	received();
	logged();
	if (chdir("/tmp") == -1)
		return 111;
	snprintf(rm, sizeof rm, "%s", dir);
	rm_rf(rm);
	return tap_done();
}
