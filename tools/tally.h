/* tally: a table of names with counters, of bounded size.
 *
 * When it is full, names with the smallest first counter leave until a
 * quarter is free; "lost" sums up what they had.  A name that counts for much
 * stays, whatever flood of others comes.
 */
#ifndef TALLY_H
#define TALLY_H

#include <stddef.h>
#include <stdint.h>

enum { TALLY_COUNTS = 3, TALLY_NAME = 256 };

struct tally_entry {
	char *name;
	uint32_t n;
	uint32_t hash;
	uint64_t count[TALLY_COUNTS];
	void *own;		/* the caller's, malloc'd; goes with the name */
};

struct tally {
	struct tally_entry *entry;
	uint32_t *slot;
	size_t n, max;
	size_t slots;		/* a power of 2 */
	uint64_t lost;
	int keep;		/* full: new names are not taken */
};

/* At most max names.  1, -1. */
extern int tally_init(struct tally *t, size_t max);

/* Names longer than TALLY_NAME are cut.  The entry, until the next
 * tally_put; 0 not there, or (put) full or out of memory.
 */
extern struct tally_entry *tally_get(struct tally const *t, char const *s,
    size_t n);
extern struct tally_entry *tally_put(struct tally *t, char const *s, size_t n);

/* Those leave of which goes() says so, asked once of each. */
extern void tally_drop(struct tally *t,
    int (*goes)(struct tally_entry const *, void *), void *ctx);

/* Adds to the first counter. */
extern void tally_add(struct tally *t, char const *s, size_t n, uint64_t u);

/* By the first counter, the highest first; the table only serves to be read
 * in this order afterwards: entry[0..n).
 */
extern void tally_sort(struct tally *t);

#endif
