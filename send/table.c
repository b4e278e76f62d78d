#include "send/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BOTH_LISTED = TABLE_LISTED | TABLE_LISTED << 1 };

/* Grows an array of n-byte elements to at least want of them. */
static int
grow(void **array, uint32_t *room, uint32_t want, size_t n)
{
	uint32_t more = *room + *room / 2 + 64;
	void *p;

	if (want <= *room)
		return 1;
	if (more < want || more >= TABLE_NONE / 2) {
		errno = ENOMEM;
		return -1;
	}
	p = realloc(*array, more * n);
	if (!p)
		return -1;
	*array = p;
	*room = more;
	return 1;
}

static uint32_t
bucket(struct table const *t, uint64_t id)
{
	return (uint32_t)(id * 0x9e3779b97f4a7c15u >> 32) & (t->buckets - 1);
}

/* Where the id is, or would be. */
static uint32_t
place(struct table const *t, uint64_t id)
{
	uint32_t i = bucket(t, id);

	while (t->hash[i] != TABLE_NONE && t->m[t->hash[i]].id != id)
		i = (i + 1) & (t->buckets - 1);
	return i;
}

static int
rehash(struct table *t)
{
	uint32_t *old = t->hash, n = t->buckets, more = n ? n * 2 : 256, i;
	uint32_t *new = malloc(more * sizeof *new);

	if (!new)
		return -1;
	memset(new, 0xff, more * sizeof *new);
	t->hash = new;
	t->buckets = more;
	for (i = 0; i < n; i++)
		if (old[i] != TABLE_NONE)
			new[place(t, t->m[old[i]].id)] = old[i];
	free(old);
	return 1;
}

int
table_find(struct table const *t, uint64_t id, uint32_t *index)
{
	uint32_t i;

	if (!t->buckets)
		return 0;
	i = t->hash[place(t, id)];
	if (i == TABLE_NONE)
		return 0;
	*index = i;
	return 1;
}

int
table_add(struct table *t, uint64_t id, uint32_t *index)
{
	uint32_t i;

	if (table_find(t, id, &i))
		return 0;
	/* three quarters full at most */
	if (t->count >= t->buckets / 4 * 3 && rehash(t) == -1)
		return -1;
	if (grow((void **)&t->heap, &t->heap_room, t->count + 1,
	    sizeof *t->heap) == -1)
		return -1;
	i = t->spare;
	if (i != TABLE_NONE)
		t->spare = t->m[i].link[0];
	else if (grow((void **)&t->m, &t->room, t->used + 1,
	    sizeof *t->m) == 1)
		i = t->used++;
	else
		return -1;
	memset(&t->m[i], 0, sizeof t->m[i]);
	t->m[i].id = id;
	t->hash[place(t, id)] = i;
	t->count++;
	*index = i;
	return 1;
}

void
table_forget(struct table *t, uint32_t index)
{
	uint32_t mask = t->buckets - 1, hole = place(t, t->m[index].id);
	uint32_t i = hole;

	/* what probing pushed behind the hole moves into it */
	for (;;) {
		uint32_t home;

		i = (i + 1) & mask;
		if (t->hash[i] == TABLE_NONE)
			break;
		home = bucket(t, t->m[t->hash[i]].id);
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			t->hash[hole] = t->hash[i];
			hole = i;
		}
	}
	t->hash[hole] = TABLE_NONE;
	t->m[index].state = 0;
	t->m[index].flags = 0;
	t->m[index].link[0] = t->spare;
	t->spare = index;
	t->count--;
}

uint32_t
table_due(struct message const *m)
{
	return m->next[0] < m->next[1] ? m->next[0] : m->next[1];
}

void
table_gone(struct table *t, uint32_t index)
{
	if (t->m[index].flags & BOTH_LISTED)
		t->m[index].state = TABLE_GONE;
	else
		table_forget(t, index);
}

static int
before(struct table const *t, uint32_t a, uint32_t b)
{
	uint32_t x = table_due(&t->m[a]), y = table_due(&t->m[b]);

	return x != y ? x < y : t->m[a].id < t->m[b].id;
}

static void
put(struct table *t, uint32_t where, uint32_t index)
{
	t->heap[where] = index;
	t->m[index].place = where;
}

static void
up(struct table *t, uint32_t where, uint32_t index)
{
	while (where && before(t, index, t->heap[(where - 1) / 2])) {
		put(t, where, t->heap[(where - 1) / 2]);
		where = (where - 1) / 2;
	}
	put(t, where, index);
}

static void
down(struct table *t, uint32_t where, uint32_t index)
{
	for (;;) {
		uint32_t child = where * 2 + 1;

		if (child >= t->waiting)
			break;
		if (child + 1 < t->waiting &&
		    before(t, t->heap[child + 1], t->heap[child]))
			child++;
		if (!before(t, t->heap[child], index))
			break;
		put(t, where, t->heap[child]);
		where = child;
	}
	put(t, where, index);
}

void
table_wait(struct table *t, uint32_t index)
{
	t->m[index].state = TABLE_WAITING;
	up(t, t->waiting++, index);
}

uint32_t
table_first(struct table const *t)
{
	return t->waiting ? t->heap[0] : TABLE_NONE;
}

void
table_unwait(struct table *t, uint32_t index)
{
	uint32_t where = t->m[index].place, last = t->heap[--t->waiting];

	if (last == index)
		return;
	if (where && before(t, last, t->heap[(where - 1) / 2]))
		up(t, where, last);
	else
		down(t, where, last);
}

void
table_enlist(struct table *t, uint32_t index, int n, struct table_list *list)
{
	struct message *m = &t->m[index];

	if (m->flags & TABLE_LISTED << n)
		return;
	m->flags |= TABLE_LISTED << n;
	m->link[n] = TABLE_NONE;
	if (list->first == TABLE_NONE)
		list->first = index;
	else
		t->m[list->last].link[n] = index;
	list->last = index;
}

int
table_unlist(struct table *t, int n, struct table_list *list, uint32_t *index)
{
	uint32_t i = list->first;
	struct message *m = &t->m[i];
	int stood = m->next[n] == TABLE_IN_LINE;

	list->first = m->link[n];
	m->flags &= ~(TABLE_LISTED << n);
	if (m->state == TABLE_GONE && !(m->flags & BOTH_LISTED)) {
		table_forget(t, i);
		return 0;
	}
	if (stood)
		m->next[n] = 0;
	if (stood && m->state == TABLE_WAITING)
		table_unwait(t, i);
	else if (m->state != TABLE_FRESH && m->state != TABLE_PARKED)
		return 0;
	*index = i;
	return 1;
}

void
table_now(struct message *m)
{
	int c;

	for (c = 0; c < 2; c++)
		if (m->next[c] != TABLE_IN_LINE)
			m->next[c] = 0;
}

/* Of equal times the ids decide. */
void
table_hurry(struct table *t)
{
	uint32_t i;

	for (i = 0; i < t->waiting; i++)
		table_now(&t->m[t->heap[i]]);
	for (i = t->waiting / 2; i-- > 0; )
		down(t, i, t->heap[i]);
}

void
table_free(struct table *t)
{
	static struct table const zero = TABLE_ZERO;

	free(t->m);
	free(t->hash);
	free(t->heap);
	*t = zero;
}
