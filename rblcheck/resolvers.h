/* resolvers: the name servers to ask.  The first of these that names any:
 *
 *	$DNSCACHEIP             addresses, separated by blanks or commas
 *	<home>/control/resolver one address a line; "trusted" may follow it
 *	/etc/resolv.conf        nameserver lines; "options trust-ad"
 *	127.0.0.1
 *
 * Outside resolv.conf an address may carry a port: 127.0.0.1:5300,
 * [::1]:5300.  What a server says about DNSSEC is believed if it is on this
 * host, or the administrator says that the way to it is safe.
 */
#ifndef RESOLVERS_H
#define RESOLVERS_H

#include <stdint.h>

enum { RESOLVERS_MAX = 4 };

struct resolver {
	char ip[16];		/* an IPv4 address as ::ffff:a.b.c.d */
	uint16_t port;
	int trusted;
	int edns;		/* it has not refused EDNS0 so far */
};

struct resolvers {
	struct resolver at[RESOLVERS_MAX];	/* more are left out */
	unsigned int n;
};

/* 1; -1 with errno and *what: the file, or what is wrong with which one
 * (EINVAL: not an address).
 */
extern int resolvers_find(struct resolvers *r, char const **what);

/* The address s, with or without a port.  1; 0 malformed. */
extern int resolvers_address(char const *s, struct resolver *out);

#endif
