/* ipaddr: an IPv4 or IPv6 address, as one type.
 *
 * Always 16 bytes: an IPv4 address is ::ffff:a.b.c.d inside, so that both
 * families compare, mask and print through the same code.  A prefix length
 * counts bits of the family's own notation (0..32 or 0..128).
 */
#ifndef IPADDR_H
#define IPADDR_H

#include <stddef.h>
#include <sys/socket.h>

struct ipaddr {
	unsigned char b[16];
};

enum { IPADDR_FMT = 46 };	/* room for the longest text and its NUL */

/* The address s[0..n) spells: dotted quad or RFC 4291 2.2; ::ffff:1.2.3.4
 * gives the IPv4 address.  1, or 0: not an address.
 */
extern int ipaddr_scan(char const *s, size_t n, struct ipaddr *out);

/* Text with NUL, RFC 5952 form; an IPv4 address as dotted quad.  Its length. */
extern size_t ipaddr_fmt(char *out, struct ipaddr const *a);

extern int ipaddr_is4(struct ipaddr const *a);

/* Are the first bits (of the family's own notation) equal, and the families? */
extern int ipaddr_within(struct ipaddr const *a, struct ipaddr const *net,
    unsigned int bits);

/* Clears all but the first bits. */
extern void ipaddr_mask(struct ipaddr *a, unsigned int bits);

/* From and to socket addresses; port in host order.  from: 1, or 0: neither
 * family.  to: the length of *ss.
 */
extern int ipaddr_from(struct sockaddr const *sa, struct ipaddr *out,
    unsigned int *port);
extern socklen_t ipaddr_to(struct ipaddr const *a, unsigned int port,
    struct sockaddr_storage *ss);

#endif
