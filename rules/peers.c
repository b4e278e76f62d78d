#include "rules/peers.h"

#include <stdlib.h>
#include <string.h>

#include <skalibs/types.h>

struct peer {
	struct ipaddr prefix;
	uint64_t even;		/* when its rate is used up no more, in ms */
	uint32_t live;		/* connections */
	uint32_t next;		/* of the slot, or free: 1 + index */
	uint32_t bits;		/* 0: free */
};

enum { RATES = 16384 };		/* peers without connection to remember */

static struct {
	struct peer *peer;
	uint32_t *slot;		/* 1 + index of the first */
	uint32_t size, slots;
	uint32_t fresh;		/* peers from here on were never used */
	uint32_t free;		/* 1 + index of the first free one */
	uint32_t hand;
} table;

int
peers_init(unsigned int connections)
{
	table.size = 2 * connections + RATES;
	for (table.slots = 1024; table.slots < table.size; table.slots *= 2)
		continue;
	/* never touched until used */
	table.peer = calloc(table.size, sizeof *table.peer);
	table.slot = calloc(table.slots, sizeof *table.slot);
	return table.peer && table.slot ? 1 : -1;
}

int
peers_scan_rate(char const *s, struct peers_rate *out)
{
	struct peers_rate r = { 0, 1 };
	size_t n = uint_scan(s, &r.n);

	if (!n || (s[n] != '/' && (s[n] || r.n)))
		return 0;
	if (s[n] && (!uint0_scan(s + n + 1, &r.seconds) || !r.seconds ||
	    r.seconds > 86400 || r.n > 1000 * r.seconds))
		return 0;
	*out = r;
	return 1;
}

static uint32_t *
slot_of(struct ipaddr const *a, uint32_t bits)
{
	uint64_t h = bits, part;
	unsigned int i;

	for (i = 0; i < 16; i += sizeof part) {
		memcpy(&part, a->b + i, sizeof part);
		h = (h ^ part) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return table.slot + (h & (table.slots - 1));
}

static void
forget(uint32_t index)
{
	struct peer *p = table.peer + index;
	uint32_t *link = slot_of(&p->prefix, p->bits);

	while (*link != index + 1)
		link = &table.peer[*link - 1].next;
	*link = p->next;
	p->bits = 0;
	p->next = table.free;
	table.free = index + 1;
}

/* Makes one free: one whose rate is even, if such a one is near; else the
 * next without a connection.  There is one: 2 * connections < size. */
static void
make_room(uint64_t now)
{
	enum { NEAR = 64 };
	uint32_t looked, choice = table.size;

	for (looked = 0; looked < NEAR || choice == table.size; looked++) {
		struct peer *p = table.peer + table.hand;

		if (p->bits && !p->live) {
			choice = table.hand;
			if (p->even <= now)
				break;
		}
		table.hand = (table.hand + 1) % table.size;
	}
	forget(choice);
}

static uint32_t
find(struct ipaddr const *a, uint32_t bits, uint64_t now)
{
	struct ipaddr prefix = *a;
	uint32_t *link, i;
	struct peer *p;

	ipaddr_mask(&prefix, bits);
	for (i = *slot_of(&prefix, bits); i; i = table.peer[i - 1].next) {
		p = table.peer + i - 1;
		if (p->bits == bits &&
		    memcmp(&p->prefix, &prefix, sizeof prefix) == 0)
			return i - 1;
	}
	if (!table.free && table.fresh == table.size)
		make_room(now);
	if (table.free) {
		i = table.free - 1;
		table.free = table.peer[i].next;
	} else
		i = table.fresh++;
	p = table.peer + i;
	link = slot_of(&prefix, bits);
	p->prefix = prefix;
	p->bits = bits;
	p->even = p->live = 0;
	p->next = *link;
	*link = i + 1;
	return i;
}

static int
too_fast(struct peer const *p, struct peers_rate const *r, uint64_t now)
{
	uint64_t window = r->seconds * UINT64_C(1000);

	return r->n && p->even > now &&
	    p->even - now + window / r->n > window;
}

static void
count(struct peer *p, struct peers_rate const *r, uint64_t now)
{
	p->live++;
	if (!r->n)
		return;
	if (p->even < now)
		p->even = now;
	p->even += r->seconds * UINT64_C(1000) / r->n;
}

static void
drop_idle(uint32_t index, uint64_t now)
{
	struct peer const *p = table.peer + index;

	if (!p->live && p->even <= now)
		forget(index);
}

static enum peers_verdict
judge(struct peer const *address, struct peer const *network,
    struct peers_limits const *l, uint64_t now)
{
	if (l->address && address->live >= l->address)
		return PEERS_ADDRESS;
	if (l->network && network->live >= l->network)
		return PEERS_NETWORK;
	if (too_fast(address, &l->address_rate, now))
		return PEERS_ADDRESS_RATE;
	if (too_fast(network, &l->network_rate, now))
		return PEERS_NETWORK_RATE;
	return PEERS_OK;
}

enum peers_verdict
peers_admit(struct ipaddr const *a, struct peers_limits const *l,
    uint64_t now, struct peers_place *place)
{
	int four = ipaddr_is4(a);
	struct peer *address, *network;
	enum peers_verdict v;

	place->address = find(a, four ? 32 : 64, now);
	address = table.peer + place->address;
	address->live++;	/* or the next find might forget it */
	place->network = find(a, four ? 24 : 48, now);
	address->live--;
	network = table.peer + place->network;
	v = judge(address, network, l, now);
	if (v == PEERS_OK) {
		count(address, &l->address_rate, now);
		count(network, &l->network_rate, now);
	} else {
		drop_idle(place->address, now);
		drop_idle(place->network, now);
	}
	return v;
}

void
peers_release(struct peers_place const *place)
{
	table.peer[place->address].live--;
	table.peer[place->network].live--;
	/* without a rate to remember even is 0 */
	drop_idle(place->address, 0);
	drop_idle(place->network, 0);
}

size_t
peers_busiest(struct peers_busy *out, size_t max)
{
	size_t n = 0, i;
	uint32_t j;

	for (j = 0; j < table.fresh; j++) {
		struct peer const *p = table.peer + j;
		struct peers_busy b = { p->prefix, p->live };

		if (!p->live || (p->bits != 32 && p->bits != 64))
			continue;
		for (i = n; i && out[i - 1].connections < b.connections; i--)
			if (i < max)
				out[i] = out[i - 1];
		if (i < max) {
			out[i] = b;
			n += n < max;
		}
	}
	return n;
}
