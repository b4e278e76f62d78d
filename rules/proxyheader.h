/* proxyheader: the header in front of a connection in which a load balancer
 * says who the client is: the PROXY protocol, versions 1 and 2
 * (haproxy.org/download/2.8/doc/proxy-protocol.txt).
 */
#ifndef PROXYHEADER_H
#define PROXYHEADER_H

#include <stddef.h>

#include "rules/connection.h"

enum { PROXYHEADER_MAX = 1040 };	/* version 2 with extensions */

/* Length of the header that s[0..n) begins with, as far as it is known.
 *  1  *len, which may be more than n
 *  0  more bytes are needed; all n are the header's
 * -1  this is no header
 */
extern int proxyheader_length(unsigned char const *s, size_t n, size_t *len);

/* A whole header.  Sets the addresses and ports of *c; leaves them where the
 * header says that it speaks of no TCP client (health checks).  1; 0
 * malformed.
 */
extern int proxyheader_parse(unsigned char const *s, size_t n,
    struct connection *c);

#endif
