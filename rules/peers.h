/* peers: how many connections, and how fast, for each client address and each
 * network.  An address of IPv4 is one, of IPv6 a /64; a network is a /24 or
 * a /48.
 *
 * Rates are kept as one time for each peer (the generic cell rate algorithm):
 * n connections in a burst, and n in each window from then on.  A refused
 * attempt does not count.  When the table is full, a peer without a
 * connection is forgotten: connections are always counted right, rates only
 * as long as there is room.
 */
#ifndef PEERS_H
#define PEERS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ipaddr.h"

struct peers_rate {
	unsigned int n;		/* 0: no limit */
	unsigned int seconds;
};

struct peers_limits {
	unsigned int address, network;	/* connections at a time; 0: any */
	struct peers_rate address_rate, network_rate;
};

/* "20/60": 20 in 60 seconds; "0": no limit.  1; 0: malformed. */
extern int peers_scan_rate(char const *s, struct peers_rate *out);

/* What a connection holds until peers_release. */
struct peers_place {
	uint32_t address, network;
};

enum peers_verdict {
	PEERS_OK,
	PEERS_ADDRESS,		/* too many from that address */
	PEERS_NETWORK,
	PEERS_ADDRESS_RATE,	/* too fast */
	PEERS_NETWORK_RATE
};

/* Room for so many connections at a time.  1; -1 out of memory. */
extern int peers_init(unsigned int connections);

/* now: monotonic milliseconds.  Only PEERS_OK takes a place. */
extern enum peers_verdict peers_admit(struct ipaddr const *a,
    struct peers_limits const *l, uint64_t now, struct peers_place *place);
extern void peers_release(struct peers_place const *place);

/* The busiest addresses, most connections first: at most max; their number. */
struct peers_busy {
	struct ipaddr address;
	unsigned int connections;
};
extern size_t peers_busiest(struct peers_busy *out, size_t max);

#endif
