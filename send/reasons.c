#include "send/reasons.h"

#include <stdlib.h>
#include <string.h>

/* A handle: the slot, and above it the generation of what is in there. */
enum { MASK = REASONS_MOST - 1 };

struct reason {
	char *text;
	uint32_t handle;
	uint32_t next;		/* slot plus 1, in the same bucket */
};

static struct reason *slot;
static uint32_t *bucket, turn;

static uint32_t
hash(char const *s)
{
	uint32_t h = 5381;

	for (; *s; s++)
		h = h * 33 ^ (unsigned char)*s;
	return (h * 0x9e3779b9u >> 16) & MASK;
}

static int
start(void)
{
	if (!slot)
		slot = calloc(REASONS_MOST, sizeof *slot);
	if (!bucket)
		bucket = calloc(REASONS_MOST, sizeof *bucket);
	return slot && bucket;
}

static void
forget(uint32_t k)
{
	uint32_t *p;

	if (!slot[k].text)
		return;
	p = &bucket[hash(slot[k].text)];
	while (*p != k + 1)
		p = &slot[*p - 1].next;
	*p = slot[k].next;
	free(slot[k].text);
	slot[k].text = 0;
}

uint32_t
reasons_put(char const *text)
{
	char cut[REASONS_LEN + 1];
	size_t n = strnlen(text, REASONS_LEN);
	uint32_t i, h;

	if (!start())
		return 0;
	memcpy(cut, text, n);
	cut[n] = 0;
	h = hash(cut);
	for (i = bucket[h]; i; i = slot[i - 1].next)
		if (strcmp(slot[i - 1].text, cut) == 0)
			return slot[i - 1].handle;
	i = turn;
	forget(i);
	slot[i].text = strdup(cut);
	if (!slot[i].text)
		return 0;
	turn = (turn + 1) & MASK;
	/* 0 is never one: the generation starts at 1, and passes 0 over */
	slot[i].handle = (slot[i].handle | i) + REASONS_MOST;
	if (slot[i].handle <= MASK)
		slot[i].handle += REASONS_MOST;
	slot[i].next = bucket[h];
	bucket[h] = i + 1;
	return slot[i].handle;
}

char const *
reasons_get(uint32_t handle)
{
	uint32_t k = handle & MASK;

	if (!handle || !slot || slot[k].handle != handle)
		return 0;
	return slot[k].text;
}
