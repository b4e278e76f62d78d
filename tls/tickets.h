/* tickets: the keys that session tickets are sealed with.
 *
 * All processes of tlsd compute the same keys from one secret, each by
 * itself: every TICKETS_PERIOD seconds the secret is replaced by its own
 * hash, and a key is derived from it.  There is no way back from later keys
 * to earlier ones: who steals a process's memory can open the tickets of this
 * period, no older ones.  A ticket of the last period is not taken: its
 * client makes a whole handshake.
 */
#ifndef TICKETS_H
#define TICKETS_H

#include <stdint.h>

enum {
	TICKETS_PERIOD = 7200,
	TICKETS_KEY = 80	/* what OpenSSL asks for: name, HMAC, AES */
};

struct tickets {
	uint64_t number;	/* of the period */
	unsigned char secret[32];
	unsigned char key[TICKETS_KEY];
};

/* Draws a secret.  now: seconds, monotonic.  1, -1. */
extern int tickets_init(struct tickets *t, uint64_t now);

/* 1: there is a new key; 0: it is still the same. */
extern int tickets_advance(struct tickets *t, uint64_t now);

#endif
