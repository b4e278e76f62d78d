/* keys: the private keys of dkim/ that control/dkim says are in use.
 *
 *	control/dkim                    domain:selector[:selector...]
 *	dkim/SELECTOR._domainkey.DOMAIN.pem     each one's key
 *
 * The home directory is the current directory.  A key is RSA, 1024 to 4096
 * bits, or Ed25519, without a password.
 */
#ifndef KEYS_H
#define KEYS_H

#include <openssl/evp.h>
#include <stddef.h>

#include "dkim/protocol.h"

struct key {
	char domain[PROTOCOL_DOMAIN + 1];
	char selector[PROTOCOL_SELECTOR + 1];
	char letter;
	EVP_PKEY *key;
};

struct keys {
	struct key *each;
	size_t n;
};

/* Loads all.  What is wrong is logged; strict: then nothing is loaded, else
 * that key is left out.  1; -1 trouble, logged; *out untouched.
 */
extern int keys_load(int strict, struct keys *out);
extern void keys_free(struct keys *k);

/* The next key of that domain behind *pos, which starts at 0; or 0. */
extern struct key const *keys_next(struct keys const *k, char const *domain,
    size_t n, size_t *pos);

/* 1, -1. */
extern int keys_sign(struct key const *k, char const digest[PROTOCOL_DIGEST],
    char out[PROTOCOL_SIGNATURE], size_t *len);

#endif
