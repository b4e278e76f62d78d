#include <netinet/in.h>
#include <string.h>

#include "lib/ipaddr.h"
#include "tests/unit/tap.h"

/* Text in, text out; "" if it is no address. */
static char const *
canonical(char const *s)
{
	static char out[IPADDR_FMT];
	struct ipaddr a;
	size_t n;

	out[0] = 0;
	if (!ipaddr_scan(s, strlen(s), &a))
		return out;
	n = ipaddr_fmt(out, &a);
	return n == strlen(out) ? out : "wrong length";
}

static int
becomes(char const *s, char const *want)
{
	return strcmp(canonical(s), want) == 0;
}

static int
within(char const *s, char const *net, unsigned int bits)
{
	struct ipaddr a, b;

	return ipaddr_scan(s, strlen(s), &a) &&
	    ipaddr_scan(net, strlen(net), &b) && ipaddr_within(&a, &b, bits);
}

static int
masked(char const *s, unsigned int bits, char const *want)
{
	struct ipaddr a;
	char out[IPADDR_FMT];

	if (!ipaddr_scan(s, strlen(s), &a))
		return 0;
	ipaddr_mask(&a, bits);
	ipaddr_fmt(out, &a);
	return strcmp(out, want) == 0;
}

static void
text(void)
{
	ok(becomes("192.0.2.1", "192.0.2.1"), "dotted quad");
	ok(becomes("255.255.255.255", "255.255.255.255"), "longest quad");
	ok(becomes("::ffff:192.0.2.1", "192.0.2.1"), "mapped is IPv4");
	ok(becomes("::ffff:c000:201", "192.0.2.1"), "mapped in hexadecimal");
	ok(becomes("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), "RFC 5952 4.3");
	ok(becomes("::", "::"), "all zeroes");
	ok(becomes("::1", "::1"), "loopback");
	ok(becomes("2001:db8::", "2001:db8::"), "zeroes at the end");
	ok(becomes("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
	    "one zero group stays");
	ok(becomes("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), "longest run");
	ok(becomes("0:0:1:2:3:0:0:4", "::1:2:3:0:0:4"), "first of equal runs");
	ok(becomes("::102:304", "::102:304"), "not an IPv4 address");
	ok(becomes("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "longest IPv6");
}

static void
refused(void)
{
	struct ipaddr a;

	ok(becomes("1.2.3", ""), "three components");
	ok(becomes("1.2.3.256", ""), "component too large");
	ok(becomes("1.2.3.4.", ""), "dot at the end");
	ok(becomes("01.2.3.4", ""), "leading zero");
	ok(becomes(" 1.2.3.4", ""), "blank in front");
	ok(becomes("1::2::3", ""), "two gaps");
	ok(becomes("fe80::1%eth0", ""), "zone");
	ok(becomes("", ""), "nothing");
	ok(!ipaddr_scan("1.2.3.4\0x", 9, &a), "NUL inside");
	ok(ipaddr_scan("1.2.3.4x", 7, &a), "only n bytes are read");
}

static void
networks(void)
{
	ok(within("10.1.2.3", "10.0.0.0", 8), "within 10/8");
	ok(!within("11.1.2.3", "10.0.0.0", 8), "not within 10/8");
	ok(within("192.0.2.127", "192.0.2.0", 25) &&
	    !within("192.0.2.128", "192.0.2.0", 25), "border of a /25");
	ok(within("1.2.3.4", "9.9.9.9", 0), "everything is in /0");
	ok(!within("1.2.3.4", "::", 0), "but not of the other family");
	ok(within("1.2.3.4", "1.2.3.4", 32) && !within("1.2.3.5", "1.2.3.4",
	    32), "/32");
	ok(within("2001:db8::1", "2001:db8::", 64) &&
	    !within("2001:db8:0:1::1", "2001:db8::", 64), "border of a /64");
	ok(masked("192.0.2.255", 25, "192.0.2.128"), "mask of IPv4");
	ok(masked("192.0.2.255", 32, "192.0.2.255"), "mask of all");
	ok(masked("2001:db8:ffff::1", 33, "2001:db8:8000::"), "mask of IPv6");
}

static int
there_and_back(char const *s, int family)
{
	struct sockaddr_storage ss;
	struct ipaddr a, b;
	unsigned int port = 0;

	return ipaddr_scan(s, strlen(s), &a) && ipaddr_to(&a, 2525, &ss) &&
	    ss.ss_family == family &&
	    ipaddr_from((struct sockaddr *)&ss, &b, &port) == 1 &&
	    port == 2525 && memcmp(&a, &b, sizeof a) == 0;
}

static void
sockets(void)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };
	struct ipaddr a;
	unsigned int port;

	ok(there_and_back("192.0.2.1", AF_INET), "IPv4 socket address");
	ok(there_and_back("2001:db8::1", AF_INET6), "IPv6 socket address");
	ok(!ipaddr_from(&sa, &a, &port), "unix socket address");
}

int
main(void)
{
	text();
	refused();
	networks();
	sockets();
	return tap_done();
}
