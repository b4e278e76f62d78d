#include <stdlib.h>
#include <string.h>

#include "remote/tls.h"
#include "tests/unit/tap.h"

static struct tls t = TLS_ZERO;
static struct report report = REPORT_ZERO;
static struct smtproute route;
static struct host_name host;
static struct tls_peer peer = { .route = &route, .host = &host,
    .address = "192.0.2.1", .domain = "d.example" };

static void
records(char const *s, size_t n)
{
	host.dane = 1;
	host.tlsa.len = 0;
	if (!stralloc_catb(&host.tlsa, s, n))
		abort();
}

/* From a route without anything, and a host without records. */
static void
fresh(unsigned int policy)
{
	memset(&route, 0, sizeof route);
	route.policy = policy;
	host.dane = 0;
	memcpy(host.name, "mx.example", 11);
	memcpy(host.base, "mx.example", 11);
	peer.loopback = peer.sts = 0;
}

static int
wish(enum tls_level level, int verify, char const *name, size_t tlsa)
{
	return tls_wish(&t, &peer, &report) == 1 && t.level == level &&
	    t.verify == verify && t.tlsa.len == tlsa &&
	    (*name ? t.name.len && !strcmp(t.name.s, name) : !t.name.len);
}

static int
none(void)
{
	return tls_wish(&t, &peer, &report) == 0 && report.letter == 'Z';
}

#define KEY "3:1:1:0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef"

static void
words(void)
{
	fresh(0);
	ok(wish(TLS_MAY, 0, "", 0), "nothing said: what can be had");
	fresh(SMTPROUTES_NOTLS);
	records(KEY, sizeof KEY);
	ok(wish(TLS_NO, 0, "", 0), "notls");
	fresh(SMTPROUTES_MAY);
	records(KEY, sizeof KEY);
	ok(wish(TLS_MAY, 0, "", 0), "may, whatever DNS says");
	fresh(SMTPROUTES_ENCRYPT);
	ok(wish(TLS_MUST, 0, "", 0), "encrypt");
	fresh(SMTPROUTES_VERIFY);
	ok(wish(TLS_MUST, 1, "mx.example", 0), "verify: the host's name");
	host.name[0] = 0;
	ok(wish(TLS_MUST, 1, "192.0.2.1", 0), "or its address");
	route.tls = ".x.example|";
	route.tls_len = 10;
	ok(wish(TLS_MUST, 1, ".x.example", 0), "or another name");
	fresh(SMTPROUTES_PIN);
	route.tls = "00:11";
	route.tls_len = 5;
	ok(wish(TLS_MUST, 0, "", 22) && !memcmp(t.tlsa.s,
	    "3:0:1:0011\0" "3:1:1:0011", 22), "pin: two records");
	fresh(SMTPROUTES_SMTPS);
	ok(wish(TLS_MUST, 0, "", 0) && t.at_once, "smtps is never plain text");
}

static void
passwords(void)
{
	fresh(0);
	route.user_len = 1;
	ok(wish(TLS_MUST, 1, "mx.example", 0), "a password: to that host");
	route.policy = SMTPROUTES_ENCRYPT;
	ok(wish(TLS_MUST, 0, "", 0), "or to any");
	route.policy = SMTPROUTES_PLAINTEXT;
	ok(wish(TLS_MAY, 0, "", 0), "or as it comes");
	route.policy = 0;
	peer.loopback = 1;
	ok(wish(TLS_MAY, 0, "", 0), "or to this host");
}

static void
dane(void)
{
	static char const odd[] = "0:1:1:00\0" "3:1:1:00\0" "3:2:0:00\0"
	    "3:0:3:00\0" "2:0:x\0" "";

	fresh(0);
	records(KEY, sizeof KEY);
	ok(wish(TLS_MUST, 0, "d.example", sizeof KEY) &&
	    !strcmp(t.server, "mx.example"), "records bind");
	route.relay_len = 1;
	ok(wish(TLS_MUST, 0, "", sizeof KEY), "a relay has no domain");
	fresh(0);
	records(odd, sizeof odd - 2);
	ok(wish(TLS_MUST, 0, "", 0), "none can be used: encryption");
	route.policy = SMTPROUTES_DANEONLY;
	ok(none(), "dane-only: not then");
	host.dane = 0;
	ok(none(), "nor without records");
	fresh(0);
	host.dane = -1;
	ok(none(), "not known: not now");
	route.policy = SMTPROUTES_ENCRYPT;
	ok(wish(TLS_MUST, 0, "", 0), "unless nobody asked");
}

static void
sts(void)
{
	fresh(0);
	peer.sts = 1;
	ok(wish(TLS_MUST, 1, "mx.example", 0), "MTA-STS");
	records(KEY, sizeof KEY);
	ok(wish(TLS_MUST, 0, "d.example", sizeof KEY), "DANE goes before");
	fresh(SMTPROUTES_MAY);
	peer.sts = 1;
	ok(wish(TLS_MAY, 0, "", 0), "and so do we");
}

int
main(void)
{
	words();
	passwords();
	dane();
	sts();
	return tap_done();
}
