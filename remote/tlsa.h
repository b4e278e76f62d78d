/* tlsa: what DNS says of the certificates of mail hosts (RFC 7672 2.2). */
#ifndef REMOTE_TLSA_H
#define REMOTE_TLSA_H

#include "remote/hosts.h"
#include "lib/resolve.h"

/* Asks for each of the names at which DNS is secure; stores tlsa, dane, base
 * in it.
 */
extern void tlsa_find(struct resolve *n, struct host_name *h, size_t count,
    unsigned int port);

#endif
