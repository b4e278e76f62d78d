/* netstring: reads netstrings (cr.yip.to/proto/netstrings.txt), also ones
 * inside others, piece by piece: the QMTP and QMQP servers' wire.
 */
#ifndef NETSTRING_H
#define NETSTRING_H

#include <stdint.h>

#include <skalibs/stralloc.h>

#include "lib/io.h"

struct netstring {
	io *io;
	struct netstring *outer; /* null: straight from the wire */
	uint64_t left;		/* bytes of it that are not read */
};

/* Begins the next one, of at most max bytes.  1; 0 there is none: the end of
 * outer, or of the wire in front of it; -1 with errno: EPROTO malformed (no
 * number, leading zeros, longer than what is around it), EMSGSIZE longer than
 * max, or what reading said.
 */
extern int netstring_begin(struct netstring *n, struct netstring *outer,
    io *from, uint64_t max);

/* The next bytes of it, valid until the next call.  1; 0 it is read; -1. */
extern int netstring_piece(struct netstring *n, char const **s, size_t *len);

/* Its comma.  1, -1: EPROTO: another byte, or it is not read to its end. */
extern int netstring_end(struct netstring *n);

/* A whole one, appended to *out.  As netstring_begin. */
extern int netstring_get(struct netstring *outer, io *from, uint64_t max,
    stralloc *out);

/* Writes one.  1, -1. */
extern int netstring_put(io *to, char const *s, size_t n);

#endif
