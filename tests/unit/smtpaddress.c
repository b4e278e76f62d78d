#include <stdlib.h>
#include <string.h>

#include "lib/limits.h"
#include "lib/smtpaddress.h"
#include "tests/unit/tap.h"

/* Parses arg; want 0: must be refused, and leave *out alone. */
static int
gives(char const *arg, char const *want)
{
	stralloc out = STRALLOC_ZERO;
	size_t rest = 77;
	int r = smtpaddress_parse(arg, strlen(arg), &out, &rest);

	r = want ? r == 1 && out.len == strlen(want) &&
	    memcmp(out.s, want, out.len) == 0 :
	    r == 0 && !out.s && rest == 77;
	stralloc_free(&out);
	return r;
}

static int
rest_is(char const *arg, char const *want)
{
	stralloc out = STRALLOC_ZERO;
	size_t rest;
	int r = smtpaddress_parse(arg, strlen(arg), &out, &rest);

	stralloc_free(&out);
	return r == 1 && strcmp(arg + rest, want) == 0;
}

static void
forms(void)
{
	ok(gives("<a@b.example>", "a@b.example"), "an address in brackets");
	ok(gives("  <a@b>", "a@b"), "blanks in front");
	ok(gives("a@b", "a@b"), "no brackets");
	ok(gives("<>", ""), "the null reverse-path");
	ok(gives("<postmaster>", "postmaster"), "no domain");
	ok(gives("<\"a b\\\"c\"@d>", "a b\"c@d"), "a quoted local part");
	ok(gives("<a\\ b@c>", "a b@c"), "a quoted pair outside quotes");
	ok(gives("<a.\"b c\".d@e>", "a.b c.d@e"), "quotes in the middle");
	ok(gives("<a..b.@c>", "a..b.@c"), "dots anywhere");
	ok(gives("<@x.y:a@b>", "a@b"), "a source route");
	ok(gives("<@x,@y:a@b>", "a@b"), "two hosts in a source route");
	ok(gives("<@[IPv6:::1]:a@b>", "a@b"), "a literal in a source route");
	ok(gives("<a@[192.0.2.1]>", "a@[192.0.2.1]"), "an IPv4 literal");
	ok(gives("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
	    "an IPv6 literal");
	ok(gives("<#@[]>", "#@[]"), "qmail's double bounce");
	ok(gives("<a@b_c.d>", "a@b_c.d"), "an underscore in a domain");
	ok(rest_is("<a@b> SIZE=1", " SIZE=1"), "rest after brackets");
	ok(rest_is("a@b SIZE=1", " SIZE=1"), "rest after a bare address");
}

/* What relayers try: comes out as the queue would read it. */
static void
relays(void)
{
	ok(gives("<a%b@c>", "a%b@c"), "percent");
	ok(gives("<b!a@c>", "b!a@c"), "bang");
	ok(gives("<a@b@c>", "a@b@c"), "two at signs");
	ok(gives("<\"a@b\">", "a@b"), "a quoted at sign, no domain");
	ok(gives("<\"a@b\"@c>", "a@b@c"), "a quoted at sign and a domain");
	ok(gives("<a@b@[192.0.2.1]>", "a@b@[192.0.2.1]"),
	    "two at signs and a literal");
}

static void
refused(void)
{
	static char const *const bad[] = {
		"", " ", "<", "<a", "a>", "<a@b", "<a@b>x", "<a@b>>", "<<a@b>>",
		"<@b>", "<a@>", "<\"\"@b>", "<\"a@b>", "<\"a\\>", "<a@b..c>",
		"<a@.b>", "<a@b.>", "<a@b c>", "<a b@c>", "<@x:>", "<@x>",
		"<@x a@b>", "<@x:@y:a@b>", "<a@[1.2.3.4>", "<a@[1.2.3.4]x>",
		"<a@[1.2.3.4]@b>", "<a[1]@b>", "<a@[x y]>", "<a@[\\]]>",
		"<\"a@b c\">", "<;sleep 66;@b>", "<:include:/etc/passwd@b>",
		"<a(x)@b>", "<a,b@c>", "<a@b!c>", "<a@b%c>", "<a@b/c>",
		"<a@\"b\">",
		"<a@b\\c>"
	};
	unsigned int i;

	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		ok(gives(bad[i], 0), bad[i]);
}

static void
long_ones(void)
{
	static char s[LIMIT_ADDRESS + 10];
	size_t n = LIMIT_ADDRESS - 2;

	s[0] = '<';
	memset(s + 1, 'a', n);
	memcpy(s + 1 + n, "@b>", 4);
	ok(!gives(s, 0), "LIMIT_ADDRESS bytes");
	s[1+n] = 'a';
	memcpy(s + 2 + n, "@b>", 4);
	ok(gives(s, 0), "one more is refused");
	memcpy(s, "<a@", 3);
	memset(s + 3, 'b', 64);
	memcpy(s + 66, ">", 2);
	ok(!gives(s, 0), "a label of 63");
	memcpy(s + 66, "b>", 3);
	ok(gives(s, 0), "a label of 64 is refused");
}

/* Each byte in three places: what passes is exactly what is written here. */
static void
bytes(void)
{
	static char const local[] = "!#$%&'*+-/=?^_`{|}~.@"
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	char plain[] = "<aXb@c>", quote[] = "<\"aXb\"@c>", name[] = "<a@bXb>";
	int c, good = 1;

	for (c = 0; c < 256; c++) {
		stralloc out = STRALLOC_ZERO;
		size_t rest;
		int want;

		plain[2] = quote[3] = name[4] = c;
		want = c && (strchr(local, c) || c == '\\');
		good &= want == smtpaddress_parse(plain, 7, &out, &rest);
		want = c >= 32 && c < 127 && c != '"';
		good &= want == smtpaddress_parse(quote, 9, &out, &rest);
		want = c && (strchr(local + 21, c) || strchr("-_.@", c));
		good &= want == smtpaddress_parse(name, 7, &out, &rest);
		stralloc_free(&out);
	}
	ok(good, "each byte in a local part, in quotes, and in a domain");
}

static int
quotes(char const *s, char const *want)
{
	stralloc out = STRALLOC_ZERO;
	int r = smtpaddress_quote(s, strlen(s), &out);

	r = want ? r == 1 && out.len == strlen(want) &&
	    memcmp(out.s, want, out.len) == 0 : r == 0 && !out.len;
	stralloc_free(&out);
	return r;
}

static void
quoting(void)
{
	ok(quotes("a.b@c", "a.b@c"), "quote: nothing to do");
	ok(quotes("", ""), "quote: null reverse-path");
	ok(quotes("a b@c", "\"a b\"@c"), "quote: a blank");
	ok(quotes("a\"\\@c", "\"a\\\"\\\\\"@c"), "quote: specials");
	ok(quotes("a@b@c", "\"a@b\"@c"), "quote: at sign");
	ok(quotes(".a@c", "\".a\"@c"), "quote: dots");
	ok(quotes("a..b@c", "\"a..b\"@c"), "quote: two dots");
	ok(quotes("a\nb@c", 0), "quote: a control byte cannot be");
}

int
main(void)
{
	forms();
	relays();
	refused();
	long_ones();
	bytes();
	quoting();
	return tap_done();
}
