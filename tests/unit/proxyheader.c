#include <string.h>

#include "rules/proxyheader.h"
#include "tests/unit/tap.h"

static int
is(struct ipaddr const *a, char const *want)
{
	char text[IPADDR_FMT];

	ipaddr_fmt(text, a);
	return strcmp(text, want) == 0;
}

static struct connection
fresh(void)
{
	struct connection c = { 0 };

	ipaddr_scan("10.0.0.1", 8, &c.remote);
	ipaddr_scan("10.0.0.2", 8, &c.local);
	c.remote_port = 1;
	c.local_port = 2;
	return c;
}

static int
untouched(struct connection const *c)
{
	return is(&c->remote, "10.0.0.1") && is(&c->local, "10.0.0.2") &&
	    c->remote_port == 1 && c->local_port == 2;
}

static int
parse(char const *s, size_t n, struct connection *c)
{
	*c = fresh();
	return proxyheader_parse((unsigned char const *)s, n, c);
}

static int
length(char const *s, size_t n, size_t *len)
{
	return proxyheader_length((unsigned char const *)s, n, len);
}

static int
refused(char const *line)
{
	struct connection c;

	return !parse(line, strlen(line), &c) && untouched(&c);
}

static void
version1(void)
{
	char const *s = "PROXY TCP4 192.0.2.7 192.0.2.1 56324 25\r\n";
	struct connection c;

	ok(parse(s, strlen(s), &c) && is(&c.remote, "192.0.2.7") &&
	    is(&c.local, "192.0.2.1") && c.remote_port == 56324 &&
	    c.local_port == 25, "TCP4");
	s = "PROXY TCP6 2001:db8::7 2001:db8::1 65535 0\r\n";
	ok(parse(s, strlen(s), &c) && is(&c.remote, "2001:db8::7") &&
	    c.remote_port == 65535, "TCP6");
	s = "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 5 25\r\n";
	ok(parse(s, strlen(s), &c) && is(&c.remote, "192.0.2.7"),
	    "mapped under TCP6");
	s = "PROXY UNKNOWN\r\n";
	ok(parse(s, strlen(s), &c) && untouched(&c), "UNKNOWN");
	s = "PROXY UNKNOWN ff:: ff:: 1 2\r\n";
	ok(parse(s, strlen(s), &c) && untouched(&c), "UNKNOWN and more");
}

static void
malformed1(void)
{
	ok(refused("PROXY TCP4 192.0.2.7 192.0.2.1 56324\r\n"), "short");
	ok(refused("PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n"), "long");
	ok(refused("PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n"), "port");
	ok(refused("PROXY TCP4 192.0.2.7 192.0.2.1 01 25\r\n"), "zero first");
	ok(refused("PROXY TCP4 2001:db8::7 192.0.2.1 1 25\r\n"), "family");
	ok(refused("PROXY TCP6 192.0.2.7 192.0.2.1 1 25\r\n"), "family 6");
	ok(refused("PROXY TCP4  192.0.2.7 192.0.2.1 1 25\r\n"), "two blanks");
	ok(refused("PROXY TCP4 192.0.2.7 192.0.2.1 1 25 \r\n"), "blank last");
	ok(refused("PROXY UDP4 192.0.2.7 192.0.2.1 1 25\r\n"), "UDP4");
	ok(refused("PROXY TCP4 192.0.2.7 192.0.2.1 1 25\n"), "bare LF");
	ok(refused("PROXY \r\n"), "nothing");
	ok(refused("PROXY\r\n"), "not even a blank");
}

static void
lengths(void)
{
	char const *s = "PROXY UNKNOWN\r\nEHLO x\r\n";
	char line[200];
	size_t n = strlen(s), len, i;
	int good = 1;

	ok(length(s, n, &len) == 1 && len == 15, "what follows is not ours");
	for (i = 1; i < 15; i++)
		good &= length(s, i, &len) == 0;
	ok(good, "any part of it asks for more");
	ok(length("EHLO x\r\n", 8, &len) == -1, "a client that speaks itself");
	ok(length("PROXX ", 6, &len) == -1, "almost");
	memset(line, 'x', sizeof line);
	memcpy(line, "PROXY ", 6);
	ok(length(line, 106, &len) == 0, "106 bytes without LF");
	ok(length(line, 107, &len) == -1, "107 bytes without LF");
	line[107] = '\n';
	ok(length(line, 200, &len) == -1, "a line of 108 bytes");
}

static void
version2(void)
{
	char s[64] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
	    "\xc0\0\2\7\xc0\0\2\1\xdc\4\0\x19";
	struct connection c;
	size_t len;

	ok(length(s, 15, &len) == 0, "fifteen bytes do not say how long");
	ok(length(s, 16, &len) == 1 && len == 28, "sixteen do");
	ok(parse(s, 28, &c) && is(&c.remote, "192.0.2.7") &&
	    is(&c.local, "192.0.2.1") && c.remote_port == 56324 &&
	    c.local_port == 25, "TCP over IPv4");
	s[12] = 0x20;
	ok(parse(s, 28, &c) && untouched(&c), "LOCAL");
	s[12] = 0x31;
	ok(!parse(s, 28, &c), "version 3");
	s[12] = 0x21;
	s[15] = 11;
	ok(!parse(s, 27, &c) && untouched(&c), "addresses cut short");
	s[13] = 0;
	s[15] = 0;
	ok(parse(s, 16, &c) && untouched(&c), "unspecified family");
	s[14] = 4;
	s[15] = 1;
	ok(length(s, 16, &len) == -1, "too long for us");
}

static void
version2_six(void)
{
	char s[64] = "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x28";
	struct connection c;

	s[16] = 0x20;
	s[17] = 0x01;
	s[31] = 7;
	s[47] = 1;
	s[49] = 9;
	s[51] = 25;
	ok(parse(s, 56, &c) && is(&c.remote, "2001::7") &&
	    is(&c.local, "::1") && c.remote_port == 9 && c.local_port == 25,
	    "TCP over IPv6, with an extension");
}

int
main(void)
{
	version1();
	malformed1();
	lengths();
	version2();
	version2_six();
	return tap_done();
}
