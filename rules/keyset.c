#include "rules/keyset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uint32_t hash;
	uint32_t line;
	uint32_t len;
};

static uint32_t
hash_of(char const *s, size_t n)
{
	uint32_t h = 2166136261u;	/* FNV-1a */

	while (n--)
		h = (h ^ (unsigned char)*s++) * 16777619u;
	return h;
}

static void
entry_at(struct keyset const *k, uint32_t slot, struct entry *e)
{
	memcpy(e, k->entries.s + slot - 1, sizeof *e);
}

/* Doubles the table: it stays at most half full. */
static int
grow(struct keyset *k)
{
	size_t size = k->size ? 2 * k->size : 1024, i, at;
	uint32_t *slots = calloc(size, sizeof *slots);
	struct entry e;

	if (!slots)
		return -1;
	for (i = 0; i < k->size; i++) {
		if (!k->slots[i])
			continue;
		entry_at(k, k->slots[i], &e);
		for (at = e.hash & (size - 1); slots[at];
		    at = (at + 1) & (size - 1))
			continue;
		slots[at] = k->slots[i];
	}
	free(k->slots);
	k->slots = slots;
	k->size = size;
	return 1;
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t
locate(struct keyset const *k, char const *s, size_t n, uint32_t hash)
{
	size_t at;
	struct entry e;

	for (at = hash & (k->size - 1); k->slots[at];
	    at = (at + 1) & (k->size - 1)) {
		entry_at(k, k->slots[at], &e);
		if (e.hash == hash && e.len == n && memcmp(k->entries.s +
		    k->slots[at] - 1 + sizeof e, s, n) == 0)
			break;
	}
	return at;
}

int
keyset_add(struct keyset *k, char const *s, size_t n, unsigned int line,
    unsigned int *first)
{
	struct entry e = { hash_of(s, n), line, n };
	size_t at, offset = k->entries.len;

	if (2 * k->used >= k->size && grow(k) == -1)
		return -1;
	at = locate(k, s, n, e.hash);
	if (k->slots[at]) {
		entry_at(k, k->slots[at], &e);
		*first = e.line;
		return 0;
	}
	if (offset + sizeof e + n >= UINT32_MAX) {
		errno = EOVERFLOW;
		return -1;
	}
	if (!stralloc_catb(&k->entries, (char *)&e, sizeof e) ||
	    !stralloc_catb(&k->entries, s, n))
		return -1;
	k->slots[at] = offset + 1;
	k->used++;
	return 1;
}

void
keyset_free(struct keyset *k)
{
	stralloc_free(&k->entries);
	free(k->slots);
	k->slots = 0;
	k->size = k->used = 0;
}
