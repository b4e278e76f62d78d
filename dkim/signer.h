/* signer: dkimd, as dkimsign sees it: what it says is believed only if it has
 * the form of an answer.
 */
#ifndef SIGNER_H
#define SIGNER_H

#include <stddef.h>

#include "dkim/protocol.h"

struct signer_key {
	char letter;
	char selector[PROTOCOL_SELECTOR + 1];
};

/* A connection, or -1 with errno.  One that is just being started anew is
 * waited for.
 */
extern int signer_connect(void);

/* Both: 1; 0 it will not sign for our user, or has no such key any more; -1
 * with errno (EAGAIN too slow, EPROTO no answer that we know).
 * *n: how many keys sign for that domain.
 */
extern int signer_keys(int fd, char const *domain,
    struct signer_key keys[PROTOCOL_KEYS], unsigned int *n);
extern int signer_sign(int fd, struct signer_key const *key,
    char const *domain, char const digest[PROTOCOL_DIGEST],
    char out[PROTOCOL_SIGNATURE], size_t *len);

#endif
