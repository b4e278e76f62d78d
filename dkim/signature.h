/* signature: the text of a DKIM-Signature field (RFC 6376 3.5), lines ending
 * in LF, and the hash that its signature is made of (3.7).
 */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "dkim/protocol.h"

struct signature {
	char letter;			/* of protocol.h */
	char const *selector, *domain;
	uint64_t time;			/* seconds since 1970 */
	stralloc const *names;		/* fields_signed */
	stralloc const *text;
	char const *body;		/* its hash, PROTOCOL_DIGEST bytes */
};

/* *field becomes all of it up to "b=", and digest the hash.  1, -1. */
extern int signature_begin(stralloc *field, struct signature const *of,
    char digest[PROTOCOL_DIGEST]);

/* Appends the signature itself, and LF.  1, -1. */
extern int signature_end(stralloc *field, char const *s, size_t n);

#endif
