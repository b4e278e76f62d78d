#include "remote/wire.h"
#include "tests/unit/smtpserver.h"
#include "tests/unit/tap.h"

static struct reply reply;
static struct smtproute const direct = { .port = 25 };

static int
parse(char const *in, size_t n, size_t piece)
{
	fake_start(in, n, "", 0);
	fake.piece = piece;
	errno = 0;
	return reply_read(&fake.server.io, &reply);
}

/* The same result however the bytes arrive. */
static int
is(char const *in, unsigned int code, char const *text)
{
	size_t piece;

	for (piece = 0; piece < 4; piece++)
		if (parse(in, strlen(in), piece) != 1 || reply.code != code ||
		    reply.n != strlen(text) ||
		    memcmp(reply.text, text, reply.n))
			return 0;
	return 1;
}

static int
bad(char const *in, int e)
{
	return parse(in, strlen(in), 0) == -1 && errno == e &&
	    parse(in, strlen(in), 1) == -1 && errno == e;
}

static void
replies(void)
{
	static char big[80000];
	size_t i;

	ok(is("250 ok\r\n", 250, "250 ok\n"), "one line");
	ok(is("250 ok\n", 250, "250 ok\n"), "LF alone ends a line too");
	ok(is("250-a\r\n250-b\r\n250 c\r\n", 250, "250-a\n250-b\n250 c\n"),
	    "several lines");
	ok(is("250\r\n", 250, "250\n") && is("250-\n250\n", 250, "250-\n250\n"),
	    "a code alone, at the end and in the middle");
	ok(is("250-a\r\n550 b\r\n", 550, "250-a\n550 b\n"),
	    "the last line's code counts");
	ok(is("550 a\rTroot\033[1m\377\r\n", 550, "550 a?Troot?[1m?\n"),
	    "control characters and 8-bit bytes become question marks");
	ok(parse("550 a\0b\r\n", 9, 0) == 1 && reply.n == 8 &&
	    !memcmp(reply.text, "550 a?b\n", 8), "so does NUL");
	ok(is("250 a\r\r\n", 250, "250 a?\n"), "one CR belongs to the LF");

	ok(bad("25\r\n", EPROTO) && bad("\r\n", EPROTO) && bad("2", 0) == 0,
	    "fewer than three digits are no reply");
	ok(bad("HTTP/1.0 400 Bad\r\n", EPROTO) && bad("250x\r\n", EPROTO) &&
	    bad("2 50\r\n", EPROTO) && bad("250-a\r\nb\r\n", EPROTO) &&
	    bad("250\rx\r\n", EPROTO), "nor are other lines");
	ok(bad("199 x\r\n", EPROTO) && bad("600 x\r\n", EPROTO) &&
	    bad("000 x\r\n", EPROTO), "nor are other codes");
	ok(parse("250-a\r\n", 7, 0) == 0 && parse("", 0, 0) == 0,
	    "the end in the middle");
	fake.then = ETIMEDOUT;
	ok(parse("250-a\r\n", 7, 0) == -1 && errno == ETIMEDOUT, "too slow");
	fake.then = 0;

	memset(big, 'x', sizeof big);
	memcpy(big, "250 ", 4);
	ok(parse(big, sizeof big, 0) == -1 && errno == EMSGSIZE,
	    "an endless line");
	memcpy(big + 30000, "\r\n", 3);
	ok(parse(big, 30002, 0) == 1 && reply.n == REPLY_TEXT &&
	    reply.text[REPLY_TEXT - 1] == '\n',
	    "a long line is cut");
	for (i = 0; i + 6 < sizeof big; i += 6)
		memcpy(big + i, "250-a\n", 6);
	ok(parse(big, i, 0) == -1 && errno == EMSGSIZE, "endless lines");
	ok(parse("220 a\r\n250 b\r\n", 14, 0) == 1 && reply.code == 220 &&
	    reply_read(&fake.server.io, &reply) == 1 && reply.code == 250,
	    "the next reply is not touched");
}

/* What goes out for a body, cut at any two places. */
static int
out(char const *in, size_t n, char const *expected)
{
	size_t i, j;

	for (i = 0; i <= n; i++)
		for (j = i; j <= n; j++) {
			struct wire w = WIRE_ZERO;
			char s[256];
			size_t len = wire_put(&w, in, i, s);

			len += wire_put(&w, in + i, j - i, s + len);
			len += wire_put(&w, in + j, n - j, s + len);
			len += wire_end(&w, s + len);
			if (len != strlen(expected) || memcmp(s, expected, len))
				return 0;
		}
	return 1;
}

/* Every body of up to six of these bytes: CR and LF come in pairs only, and
 * CRLF.CRLF at the very end only, however a server reads line ends.
 */
static int
never_smuggles(void)
{
	static char const bytes[] = "\r\n.x";
	unsigned int code, n, i;
	char in[6], s[32];

	for (code = 0; code < 7 * 4096; code++) {
		struct wire w = WIRE_ZERO;
		size_t len;

		n = code / 4096;
		for (i = 0; i < n; i++)
			in[i] = bytes[code >> 2 * i & 3];
		memcpy(s, "\r\n", 2);
		len = 2 + wire_put(&w, in, n, s + 2);
		len += wire_end(&w, s + len);
		for (i = 0; i < len; i++) {
			if (s[i] == '\r' && (i + 1 == len || s[i+1] != '\n'))
				return 0;
			if (s[i] == '\n' && (!i || s[i-1] != '\r'))
				return 0;
			if (i + 5 < len && !memcmp(s + i, "\r\n.\r\n", 5))
				return 0;
		}
		if (memcmp(s + len - 5, "\r\n.\r\n", 5))
			return 0;
	}
	return 1;
}

static void
bodies(void)
{
	ok(out("a\nb\n", 4, "a\r\nb\r\n.\r\n"), "LF becomes CR LF");
	ok(out("", 0, ".\r\n"), "an empty message");
	ok(out("a", 1, "a\r\n.\r\n"), "a last line without LF gets one");
	ok(out(".\n..a\nb.\n.", 10, "..\r\n...a\r\nb.\r\n..\r\n.\r\n"),
	    "dots in front are doubled");
	ok(out("a\r\n.\r\n", 6, "a\r\n..\r\n.\r\n"),
	    "CR LF stays, and is an end of line for dots");
	ok(out("a\rb\r\r\n\r.\r\n\r", 11, "a b \r\n .\r\n \r\n.\r\n"),
	    "any other CR is a blank");
	ok(out("\n", 1, "\r\n.\r\n") && out("\r", 1, " \r\n.\r\n"),
	    "an empty line; a CR alone");
	ok(never_smuggles(), "all bodies of six of CR LF . x");
}

static int
sent(char const *expected)
{
	return fake.out.len == strlen(expected) &&
	    !memcmp(fake.out.s, expected, fake.out.len);
}

static int
text_has(char const *part)
{
	return fake.report.text.len &&
	    memmem(fake.report.text.s, fake.report.text.len, part,
	    strlen(part));
}

static void
start(char const *in, char const *body)
{
	fake_start(in, strlen(in), body, strlen(body));
	report_add(&fake.report, "1", "a@b.example");
	report_add(&fake.report, "2", "c@b.example");
}

static void
transactions(void)
{
	start("220 x\r\n|250-x\r\n250 PIPELINING\r\n|250 m\r\n250 a\r\n"
	    "550 c\r\n354 go\r\n|250 done\r\n", "hi\n");
	ok(fake_run(&direct, "s@s.example") == 1 && fake.report.letter == 'K' &&
	    fake.report.rcpt[0].letter == 'r' &&
	    fake.report.rcpt[1].letter == 'h' && sent("EHLO me.example\r\n"
	    "MAIL FROM:<s@s.example>\r\nRCPT TO:<a@b.example>\r\n"
	    "RCPT TO:<c@b.example>\r\nDATA\r\nhi\r\n.\r\n"),
	    "a transaction, all at once");
	start("220 x\r\n|500 x\r\n|250 x\r\n|250 m\r\n|450 a\r\n|"
	    "250 c\r\n|354 go\r\n|250 done\r\n", "hi\n");
	fake.piece = 1;
	ok(fake_run(&direct, "#@[]") == 1 && fake.report.letter == 'K' &&
	    fake.report.rcpt[0].letter == 's' && sent("EHLO me.example\r\n"
	    "HELO me.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n"
	    "RCPT TO:<c@b.example>\r\nDATA\r\nhi\r\n.\r\n"),
	    "the same with HELO, step by step, for a bounce");
	fake.piece = 0;
	start("220 x\r\n|250-x\r\n250 PIPELINING\r\n|"
	    "250 m\r\n250 a\r\n250 c\r\n354 go\r\n250 early\r\n", "hi\n");
	ok(fake_run(&direct, "") == 0 && fake.report.letter == 'Z' &&
	    text_has("before the message was sent"),
	    "a verdict before the end of the message is none");
	start("220 x\r\n|250-x\r\n250 PIPELINING\r\n|"
	    "250 m\r\n550 a\r\n550 c\r\n354 go\r\n|", "hi\n");
	ok(fake_run(&direct, "") == 0 && fake.report.letter == 'D' &&
	    fake.out.len > 9 && !memcmp(fake.out.s + fake.out.len - 9,
	    "DATA\r\n.\r\n", 9), "354 though no recipient was taken");
	start("220 x\r\n|250-x\r\n250 8BITMIMEX\r\n", "h\303\251\n");
	ok(fake_run(&direct, "") == 1 && fake.report.letter == 'D' &&
	    text_has("8BITMIME") && sent("EHLO me.example\r\n"),
	    "8-bit characters, and no 8BITMIME");
	start("220 x\r\n|250-x\r\n250 SIZE 10\r\n", "12345678901\n");
	ok(fake_run(&direct, "") == 1 && fake.report.letter == 'D' &&
	    text_has("13 bytes of at most 10"), "larger than SIZE");
}

#define OFFER "220 x\r\n|250-x\r\n250 STARTTLS\r\n|"
#define TAKEN "|250 x\r\n|250 m\r\n|250 a\r\n|250 c\r\n|354 go\r\n|250 done\r\n"

static void
tls(void)
{
	fake.tls.level = TLS_MUST;
	start(OFFER "220 go\r\n" TAKEN, "hi\n");
	ok(fake_run(&direct, "") == 1 && fake.report.letter == 'K' &&
	    !memcmp(fake.out.s, "EHLO me.example\r\nSTARTTLS\r\n"
	    "EHLO me.example\r\nMAIL", 48), "STARTTLS, and EHLO anew");
	start(OFFER "220 go\r\n250 x\r\n" TAKEN, "hi\n");
	ok(fake_run(&direct, "") == 0 && text_has("sent more behind") &&
	    sent("EHLO me.example\r\nSTARTTLS\r\n") && fake.server.tls_failed,
	    "something behind the answer to STARTTLS");
	start(OFFER "454 no\r\n|", "hi\n");
	ok(fake_run(&direct, "") == 0 && text_has("STARTTLS was refused"),
	    "refused though it must be");
	start("220 x\r\n|250-x\r\n250 SIZE\r\n|", "hi\n");
	ok(fake_run(&direct, "") == 0 && text_has("the test asks for TLS"),
	    "not offered though it must be");
	fake.no_tls = 1;
	start(OFFER "220 go\r\n" TAKEN, "hi\n");
	ok(fake_run(&direct, "") == 0 && fake.server.tls_failed &&
	    sent("EHLO me.example\r\nSTARTTLS\r\n"), "it fails");
	fake.tls.at_once = 1;
	start("220 x\r\n" TAKEN, "hi\n");
	ok(fake_run(&direct, "") == 0 && sent(""), "it fails at once");
	fake.no_tls = 0;
	start("220 x\r\n" TAKEN, "hi\n");
	ok(fake_run(&direct, "") == 1 && fake.report.letter == 'K', "at once");
	fake.tls.at_once = 0;
	fake.tls.level = TLS_MAY;
	start(OFFER "454 no\r\n|250 m\r\n|250 a\r\n|250 c\r\n|354 go\r\n|"
	    "250 done\r\n", "hi\n");
	ok(fake_run(&direct, "") == 1 && fake.report.letter == 'K',
	    "refused, and on it goes in the clear");
	fake.tls.level = TLS_NO;
}

static struct smtproute route = { .port = 25, .user = "me",
    .user_len = 2, .password = "secret", .password_len = 6 };

static void
passwords(void)
{
	char const *server = "220 x\r\n|250-x\r\n250 AUTH PLAIN\r\n|"
	    "235 ok\r\n|250 m\r\n|250 a\r\n|250 c\r\n|354 go\r\n|"
	    "250 done\r\n";

	start(server, "hi\n");
	ok(fake_run(&route, "") == -1 && fake.report.letter == 'Z' &&
	    text_has("without encryption") && sent("EHLO me.example\r\n"),
	    "a password is not sent without encryption");
	route.policy = SMTPROUTES_PLAINTEXT;
	start(server, "hi\n");
	ok(fake_run(&route, "") == 1 && fake.report.letter == 'K',
	    "but with that policy");
	route.policy = 0;
	start(server, "hi\n");
	fake.server.secure = 1;
	ok(fake_run(&route, "") == 1 && fake.report.letter == 'K',
	    "and with encryption");
	fake.tls.level = TLS_MUST;
	start("220 x\r\n|250-x\r\n250 STARTTLS\r\n|220 go\r\n|"
	    "250-x\r\n250 AUTH PLAIN\r\n|235 ok\r\n|250 m\r\n|250 a\r\n|"
	    "250 c\r\n|354 go\r\n|250 done\r\n", "hi\n");
	ok(fake_run(&route, "") == 1 && fake.report.letter == 'K',
	    "which STARTTLS brings");
	fake.tls.level = TLS_NO;
}

int
main(void)
{
	replies();
	bodies();
	transactions();
	tls();
	passwords();
	return tap_done();
}
