#include <errno.h>
#include <string.h>

#include "lib/smtproutes.h"
#include "tests/unit/tap.h"

static char const lines[] =
    "a.example:relay.a\0"
    "a.example:second\0"
    ".b.example:10.0.0.1:2525\0"
    ".x.b.example:x.relay\0"
    "direct.b.example:\0"
    "auth.example:mail.host:587|me|se:cret|plaintext,ipv4first\0"
    "six.example:[2001:db8::1]:26\0"
    "policy.example:|||IPV4\0"
    "[10.1.2.3]:literal\0"
    "[IPv6:2001:db8::2]:literal6\0"
    "bad1.example:host:70000\0"
    "bad2.example:host:0\0"
    "bad3.example:host:x\0"
    "bad4.example:[2001:db8::1\0"
    "bad5.example:[2001:db8::1]x\0"
    "bad6.example:|||ipv5\0"
    "bad7.example:|||may,encrypt\0"
    "bad8.example:|||pin=12\0"
    "bad9.example:|||encrypt=x\0"
    "bad10.example:|||verify=\0"
    "bad11.example:host:465|||smtps,notls\0"
    "tls.example:h:587|u|p|ipv4,Verify=mx.Example\0"
    "pin.example:|||pin=00:223344556677889900aabbccddeeff"
	"00112233445566778899AABBCCDDEEFF\0"
    "smtps.example:host:465\0"
    "clear.example:host:465|||notls\0"
    "nocolon\0";
static char const senders[] =
    "@s.example:relay.s|u|p\0"
    "joe@s.example:joe.relay:587|joe|pw\0";

static stralloc
list(char const *s, size_t n)
{
	stralloc sa = { (char *)s, n, 0 };

	return sa;
}

static int
goes(char const *host, char const *relay, unsigned int port)
{
	stralloc l = list(lines, sizeof lines - 1);
	struct smtproute r;

	return smtproutes_find(&l, host, strlen(host), &r) == 1 &&
	    r.relay_len == strlen(relay) &&
	    !memcmp(r.relay, relay, r.relay_len) && r.port == port;
}

static int
bad(char const *host)
{
	stralloc l = list(lines, sizeof lines - 1);
	struct smtproute r;

	errno = 0;
	return smtproutes_find(&l, host, strlen(host), &r) == -1 &&
	    errno == EINVAL;
}

static int
from(char const *sender, char const *relay)
{
	stralloc l = list(senders, sizeof senders - 1);
	struct smtproute r;
	int got = smtproutes_sender(&l, sender, strlen(sender), &r);

	if (!*relay)
		return got == 0 && !r.relay_len && r.port == 25;
	return got == 1 && r.relay_len == strlen(relay) &&
	    !memcmp(r.relay, relay, r.relay_len);
}

int
main(void)
{
	stralloc l = list(lines, sizeof lines - 1), all;
	struct smtproute r;

	ok(goes("a.example", "relay.a", 25), "a name; the first of equals");
	ok(goes("A.Example", "relay.a", 25), "case is ignored");
	ok(goes("q.b.example", "10.0.0.1", 2525), "a suffix, with a port");
	ok(goes("r.x.b.example", "x.relay", 25), "the longest suffix");
	ok(goes("direct.b.example", "", 25),
	    "a whole name before a suffix; an empty relay");
	ok(smtproutes_find(&l, "b.example", 9, &r) == 0 && !r.relay_len &&
	    r.port == 25, "a suffix is not the name itself: no line");
	ok(goes("six.example", "2001:db8::1", 26), "an IPv6 relay");
	ok(goes("[10.1.2.3]", "literal", 25) &&
	    goes("[IPv6:2001:db8::2]", "literal6", 25), "literals as keys");
	ok(smtproutes_find(&l, "auth.example", 12, &r) == 1 &&
	    r.port == 587 && r.user_len == 2 && r.password_len == 7 &&
	    !memcmp(r.user, "me", 2) && !memcmp(r.password, "se:cret", 7) &&
	    r.policy == (SMTPROUTES_PLAINTEXT | SMTPROUTES_IPV4FIRST),
	    "user, password, policy");
	ok(smtproutes_find(&l, "policy.example", 14, &r) == 1 &&
	    !r.relay_len && !r.user_len && r.policy == SMTPROUTES_IPV4,
	    "a policy alone");
	ok(bad("bad1.example") && bad("bad2.example") && bad("bad3.example"),
	    "bad ports");
	ok(bad("bad4.example") && bad("bad5.example"), "bad brackets");
	ok(bad("bad6.example"), "a policy that we do not know");
	ok(bad("bad7.example") && bad("bad8.example") && bad("bad9.example") &&
	    bad("bad10.example") && bad("bad11.example"),
	    "TLS policies that make no sense");
	ok(smtproutes_find(&l, "tls.example", 11, &r) == 1 && r.policy ==
	    (SMTPROUTES_IPV4 | SMTPROUTES_VERIFY) && r.tls_len == 10 &&
	    !memcmp(r.tls, "mx.Example", 10), "a name to verify");
	ok(smtproutes_find(&l, "pin.example", 11, &r) == 1 &&
	    r.policy == SMTPROUTES_PIN && r.tls_len == 65, "a digest");
	ok(smtproutes_find(&l, "smtps.example", 13, &r) == 1 &&
	    r.policy == SMTPROUTES_SMTPS &&
	    smtproutes_find(&l, "clear.example", 13, &r) == 1 &&
	    r.policy == SMTPROUTES_NOTLS, "port 465 is TLS, unless forbidden");
	ok(goes("nocolon", "", 25), "a line without a colon names no relay");

	all = list(":smart.host:26\0a.example:\0", 26);
	ok(smtproutes_find(&all, "z", 1, &r) == 1 && r.port == 26 &&
	    smtproutes_find(&all, "a.example", 9, &r) == 1 && !r.relay_len,
	    "a line for all, and an exception");

	ok(from("joe@s.example", "joe.relay"), "a sender, before its domain");
	ok(from("Ann@S.example", "relay.s"), "a sender's domain");
	ok(from("x@t.example", "") && from("", "") && from("s.example", ""),
	    "other senders");
	return tap_done();
}
