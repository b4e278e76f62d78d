/* guess: how often somebody has been wrong lately.  A table of fixed size:
 * counts by key, where a key is a client's address or an account's name.
 *
 * Each failure counts; a count is halved every GUESS_HALF seconds.  Places in
 * the table are chosen by a hash under a key of its own.  Where it is full,
 * the smallest count of a few makes room: who sprays names over it loses his
 * own.
 */
#ifndef GUESS_H
#define GUESS_H

#include <stddef.h>
#include <stdint.h>

enum {
	GUESS_HALF = 600,	/* seconds */
	GUESS_FREE = 3,		/* mistakes that anybody makes */
	GUESS_BLOCK_ADDRESS = 50,
	GUESS_BLOCK_ACCOUNT = 100,
	GUESS_SLOWEST = 8,	/* units of waiting for a "no", at most */
	GUESS_NAME = 64		/* bytes of a name that can be listed */
};

/* Kinds of keys. */
enum { GUESS_ADDRESS = 'a', GUESS_ACCOUNT = 'u', GUESS_KNOWN = 'k' };

/* Draws the table's key.  1, -1. */
extern int guess_init(void);

/* Count of that key at the time now, in seconds. */
extern unsigned int guess_count(char kind, char const *s, size_t n,
    uint64_t now);
/* One more; the new count. */
extern unsigned int guess_add(char kind, char const *s, size_t n,
    uint64_t now);
/* Forgets it.  1; 0: nothing was known. */
extern int guess_clear(char kind, char const *s, size_t n);

struct guess {
	char kind;
	char const *name;	/* its first bytes */
	size_t n;
	unsigned int count;
	unsigned int seconds;	/* that it is blocked for; 0: it is not */
};

/* The next address or account that has been wrong more often than anybody
 * is, from *pos = 0.  1, 0 at the end.
 */
extern int guess_each(unsigned int *pos, uint64_t now, struct guess *out);

/* Units of waiting before the answer to a failure, when that is the count: 1
 * for the first few, then doubling.
 */
extern unsigned int guess_delay(unsigned int count);

#endif
