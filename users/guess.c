#include "users/guess.h"

#include <string.h>
#include <sys/random.h>

#include <skalibs/sha256.h>

enum {
	SETS = 4096,
	WAYS = 4,
	KNOWN_FOR = 30 * 86400,	/* a good login is remembered so long */
	MOST = 1 << 20
};

struct entry {
	uint64_t key;		/* 0: free */
	uint64_t when;		/* of the last change */
	uint32_t count;
	char kind;
	unsigned char len;
	char name[GUESS_NAME];
};

static struct entry table[SETS][WAYS];
static unsigned char secret[32];

int
guess_init(void)
{
	return getrandom(secret, sizeof secret, 0) == sizeof secret ? 1 : -1;
}

static uint64_t
hash(char kind, char const *s, size_t n)
{
	SHA256Schedule h = SHA256_INIT();
	char digest[32];
	uint64_t key;

	sha256_update(&h, (char const *)secret, sizeof secret);
	sha256_update(&h, &kind, 1);
	sha256_update(&h, s, n);
	sha256_final(&h, digest);
	memcpy(&key, digest, sizeof key);
	return key ? key : 1;
}

static struct entry *
find(uint64_t key)
{
	struct entry *set = table[key % SETS];
	int i;

	for (i = 0; i < WAYS; i++)
		if (set[i].key == key)
			return set + i;
	return 0;
}

/* The count as time has worn it down. */
static uint32_t
worn(struct entry const *e, uint64_t now)
{
	uint64_t halves = now > e->when ? (now - e->when) / GUESS_HALF : 0;

	if (e->kind == GUESS_KNOWN)
		return now > e->when && now - e->when > KNOWN_FOR ? 0 :
		    e->count;
	return halves > 31 ? 0 : e->count >> halves;
}

static struct entry *
make_room(uint64_t key, uint64_t now)
{
	struct entry *set = table[key % SETS], *least = set;
	int i;

	for (i = 1; i < WAYS; i++) {
		uint32_t a = worn(set + i, now), b = worn(least, now);

		if (a < b || (a == b && set[i].when < least->when))
			least = set + i;
	}
	memset(least, 0, sizeof *least);
	least->key = key;
	return least;
}

unsigned int
guess_count(char kind, char const *s, size_t n, uint64_t now)
{
	struct entry const *e = find(hash(kind, s, n));

	return e ? worn(e, now) : 0;
}

unsigned int
guess_add(char kind, char const *s, size_t n, uint64_t now)
{
	uint64_t key = hash(kind, s, n);
	struct entry *e = find(key);

	if (!e) {
		e = make_room(key, now);
		e->kind = kind;
		e->len = n < GUESS_NAME ? n : GUESS_NAME;
		memcpy(e->name, s, e->len);
	}
	e->count = worn(e, now);
	e->when = now;
	if (e->count < MOST)
		e->count++;
	return e->count;
}

int
guess_clear(char kind, char const *s, size_t n)
{
	struct entry *e = find(hash(kind, s, n));

	if (e)
		memset(e, 0, sizeof *e);
	return e != 0;
}

/* Until time has worn the count down so far that it is not blocked. */
static unsigned int
blocked_for(struct entry const *e, uint64_t now)
{
	unsigned int most = e->kind == GUESS_ADDRESS ? GUESS_BLOCK_ADDRESS :
	    GUESS_BLOCK_ACCOUNT, halves = 0;

	while (e->count >> halves >= most)
		halves++;
	return e->when + (uint64_t)halves * GUESS_HALF > now ?
	    e->when + (uint64_t)halves * GUESS_HALF - now : 0;
}

int
guess_each(unsigned int *pos, uint64_t now, struct guess *out)
{
	while (*pos < SETS * WAYS) {
		struct entry const *e = table[*pos / WAYS] + *pos % WAYS;

		++*pos;
		if (!e->key || e->kind == GUESS_KNOWN)
			continue;
		out->count = worn(e, now);
		if (out->count <= GUESS_FREE)
			continue;
		out->kind = e->kind;
		out->name = e->name;
		out->n = e->len;
		out->seconds = blocked_for(e, now);
		return 1;
	}
	return 0;
}

unsigned int
guess_delay(unsigned int count)
{
	unsigned int delay = 1;

	while (count-- > GUESS_FREE && delay < GUESS_SLOWEST)
		delay *= 2;
	return delay;
}
