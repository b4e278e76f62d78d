#include <stdio.h>
#include <string.h>

#include "rules/peers.h"
#include "tests/unit/tap.h"

static enum peers_verdict
admit(char const *s, struct peers_limits const *l, uint64_t now,
    struct peers_place *place)
{
	struct ipaddr a;

	if (!ipaddr_scan(s, strlen(s), &a))
		printf("Bail out! %s\n", s);
	return peers_admit(&a, l, now, place);
}

static void
connections(void)
{
	struct peers_limits l = { .address = 2, .network = 3 };
	struct peers_place p[4];

	ok(admit("192.0.2.1", &l, 0, p) == PEERS_OK &&
	    admit("192.0.2.1", &l, 0, p + 1) == PEERS_OK, "two fit");
	ok(admit("192.0.2.1", &l, 0, p + 2) == PEERS_ADDRESS, "not a third");
	ok(admit("192.0.2.2", &l, 0, p + 2) == PEERS_OK, "a neighbour does");
	ok(admit("192.0.2.3", &l, 0, p + 3) == PEERS_NETWORK,
	    "the network is full");
	ok(admit("192.0.3.1", &l, 0, p + 3) == PEERS_OK, "the next is not");
	peers_release(p);
	ok(admit("192.0.2.1", &l, 0, p) == PEERS_OK, "one left, one may come");
	peers_release(p);
	peers_release(p + 1);
	peers_release(p + 2);
	peers_release(p + 3);
}

static void
six(void)
{
	struct peers_limits l = { .address = 1 };
	struct peers_place p[2];

	ok(admit("2001:db8::1", &l, 0, p) == PEERS_OK &&
	    admit("2001:db8::ffff:1", &l, 0, p + 1) == PEERS_ADDRESS,
	    "a /64 is one address");
	ok(admit("2001:db8:0:1::1", &l, 0, p + 1) == PEERS_OK,
	    "the next /64 is another");
	peers_release(p);
	peers_release(p + 1);
}

static int
burst(char const *s, struct peers_limits const *l, uint64_t now)
{
	struct peers_place p;
	int n = 0;

	while (n < 1000 && admit(s, l, now, &p) == PEERS_OK) {
		peers_release(&p);
		n++;
	}
	return n;
}

static void
rates(void)
{
	struct peers_limits l = { .address_rate = { 10, 60 } };
	struct peers_limits net = { .network_rate = { 3, 1 } };
	struct peers_place p;

	ok(burst("198.51.100.1", &l, 1000) == 10, "ten at once");
	ok(burst("198.51.100.1", &l, 6999) == 0, "none before its time");
	ok(burst("198.51.100.1", &l, 7000) == 1, "one after six seconds");
	ok(burst("198.51.100.2", &l, 7000) == 10, "others are not touched");
	ok(burst("198.51.100.1", &l, 67000) == 10, "all after a minute");
	ok(burst("203.0.113.1", &net, 5000) == 3, "three from a network");
	ok(admit("203.0.113.2", &net, 5000, &p) == PEERS_NETWORK_RATE,
	    "which its neighbour notices");
}

/* More peers than there is room for. */
static void
crowd(void)
{
	struct peers_limits l = { .address = 1, .address_rate = { 1, 3600 } };
	struct peers_place first, p;
	char text[32];
	unsigned int i;
	int good = 1;

	ok(admit("100.64.0.1", &l, 0, &first) == PEERS_OK, "one stays");
	for (i = 0; i < 70000; i++) {
		snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16,
		    i >> 8 & 255, i & 255);
		good &= admit(text, &l, 1, &p) == PEERS_OK;
		if (good)
			peers_release(&p);
	}
	ok(good, "70,000 others come and go");
	ok(admit("100.64.0.1", &l, 8000000, &p) == PEERS_ADDRESS,
	    "the one with a connection is not forgotten");
	peers_release(&first);
	ok(admit("100.64.0.1", &l, 8000000, &p) == PEERS_OK, "until it goes");
	peers_release(&p);
}

static void
busiest(void)
{
	struct peers_limits l = { .address = 0 };
	struct peers_place p[6];
	struct peers_busy b[2];

	admit("192.0.2.1", &l, 0, p);
	admit("192.0.2.2", &l, 0, p + 1);
	admit("192.0.2.2", &l, 0, p + 2);
	admit("192.0.2.2", &l, 0, p + 3);
	admit("192.0.2.3", &l, 0, p + 4);
	admit("192.0.2.3", &l, 0, p + 5);
	ok(peers_busiest(b, 2) == 2 && b[0].connections == 3 &&
	    b[0].address.b[15] == 2 && b[1].connections == 2 &&
	    b[1].address.b[15] == 3, "the busiest two of three");
}

static int
reads(char const *s, unsigned int n, unsigned int seconds)
{
	struct peers_rate r = { 7, 7 };

	return peers_scan_rate(s, &r) == 1 && r.n == n &&
	    r.seconds == seconds;
}

static int
refuses(char const *s)
{
	struct peers_rate r = { 7, 7 };

	return peers_scan_rate(s, &r) == 0 && r.n == 7 && r.seconds == 7;
}

static void
text(void)
{
	ok(reads("20/60", 20, 60) && reads("0", 0, 1), "20/60, 0");
	ok(refuses("20") && refuses("") && refuses("/60") && refuses("20/") &&
	    refuses("20/0") && refuses("20/x") && refuses("20/99999") &&
	    refuses("4000000000/1") && refuses("0x"), "malformed");
}

int
main(void)
{
	if (peers_init(10) == -1)
		return 111;
	connections();
	six();
	rates();
	crowd();
	busiest();
	text();
	return tap_done();
}
