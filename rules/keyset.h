/* keyset: a set of byte strings, each with the number of the line that it
 * was first seen on.  Keeps copies.
 */
#ifndef KEYSET_H
#define KEYSET_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

struct keyset {
	stralloc entries;	/* of every key: struct entry, then its bytes */
	uint32_t *slots;	/* 1 + offset in entries; 0: free */
	size_t size;		/* of slots: a power of two, or 0 */
	size_t used;
};
#define KEYSET_ZERO { STRALLOC_ZERO, 0, 0, 0 }

/* 1 it was new; 0 it was there, and *first is its line; -1 out of memory. */
extern int keyset_add(struct keyset *k, char const *s, size_t n,
    unsigned int line, unsigned int *first);

extern void keyset_free(struct keyset *k);

#endif
