/* ident: whom a client's host names as the owner of its connection (RFC 1413).
 * It is only a claim.
 */
#ifndef IDENT_H
#define IDENT_H

#include <stdint.h>

#include "lib/ipaddr.h"

enum { IDENT_NAME = 64 };

struct ident {
	struct ipaddr remote, local;
	unsigned int remote_port, local_port;
};

/* Asks, until clock_ms() says until.  1 with the name, printable, without
 * blanks; 0: none.
 */
extern int ident_ask(struct ident const *i, uint64_t until,
    char out[IDENT_NAME + 1]);

#endif
