#include "rules/children.h"

#include <stdint.h>
#include <stdlib.h>

struct child {
	pid_t pid;
	struct peers_place place;
	uint32_t next;		/* of the slot, or free: 1 + index */
};

static struct {
	struct child *child;
	uint32_t *slot;		/* 1 + index of the first */
	uint32_t slots;
	uint32_t fresh;		/* from here on never used */
	uint32_t free;
} table;

int
children_init(unsigned int max)
{
	for (table.slots = 64; table.slots < max; table.slots *= 2)
		continue;
	table.child = calloc(max, sizeof *table.child);
	table.slot = calloc(table.slots, sizeof *table.slot);
	return table.child && table.slot ? 1 : -1;
}

static uint32_t *
slot_of(pid_t pid)
{
	return table.slot + ((uint32_t)pid & (table.slots - 1));
}

void
children_add(pid_t pid, struct peers_place const *place)
{
	uint32_t *link = slot_of(pid), i;

	if (table.free) {
		i = table.free - 1;
		table.free = table.child[i].next;
	} else
		i = table.fresh++;
	table.child[i].pid = pid;
	table.child[i].place = *place;
	table.child[i].next = *link;
	*link = i + 1;
}

int
children_remove(pid_t pid, struct peers_place *place)
{
	uint32_t *link = slot_of(pid), i;

	while (*link && table.child[*link - 1].pid != pid)
		link = &table.child[*link - 1].next;
	if (!*link)
		return 0;
	i = *link - 1;
	*place = table.child[i].place;
	*link = table.child[i].next;
	table.child[i].next = table.free;
	table.free = i + 1;
	return 1;
}
