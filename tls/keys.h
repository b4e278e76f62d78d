/* keys: the certificates of a directory, ready for handshakes.
 *
 * Each file NAME.pem holds one private key and its certificate, the chain
 * behind it.  A client that names a host gets the first certificate that is
 * for that host; all others get that of default.pem, or, if there is none, of
 * the file whose name comes first.
 */
#ifndef KEYS_H
#define KEYS_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "tls/tickets.h"

enum {
	KEYS_MOST = 64,			/* files */
	KEYS_SIZE = 262144		/* bytes of one */
};

struct keys {
	SSL_CTX *each[KEYS_MOST];	/* the default first */
	unsigned int n;
};

struct keys_source {
	int dir;			/* the directory, open */
	char const *ciphers;		/* for TLS 1.2, as ciphers(1ssl) has */
};

/* Loads all.  What is wrong with a file is logged; strict: then nothing is
 * loaded, else that one is left out.
 *  1  *out; keys_free it.  It must stay where it is
 *  0  there is no file
 * -1  trouble, logged
 */
extern int keys_load(struct keys_source const *from, int strict,
    struct keys *out);
extern void keys_free(struct keys *k);

/* Tickets are sealed with this from now on.  1, -1. */
extern int keys_tickets(struct keys *k, struct tickets *t);

#endif
