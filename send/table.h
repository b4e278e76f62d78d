/* table: what send remembers of each message in the queue: 40 bytes, found by
 * id through a hash table, waiting in a heap by the time of its next try.
 * About 60 bytes a message in all; everything else is read from the message's
 * file when it is due.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>

enum {
	TABLE_FRESH = 1,	/* arrived, never looked at */
	TABLE_WAITING,		/* in the heap, for its next try */
	TABLE_PARKED,		/* at a destination, for its turn */
	TABLE_ACTIVE,		/* deliveries under way */
	TABLE_MARKING,		/* until queued has answered */
	TABLE_LEAVING,		/* done or damaged; queued removes it */
	TABLE_HELD,
	TABLE_GONE	/* removed, and still a link in a list */
};

enum {			/* flags */
	TABLE_KNOWN = 1,	/* its "new msg" line is written */
	TABLE_WARNED = 2,	/* its sender knows that it is delayed */
	TABLE_LOOK = 4,		/* is it held?  Its file has to say */
	TABLE_LISTED = 8	/* << n: in a list, by its link n */
};

#define TABLE_NONE UINT32_MAX	/* no such index */
#define TABLE_NEVER UINT32_MAX	/* no next try known */
#define TABLE_IN_LINE (TABLE_NEVER - 1)	/* when its turn comes in a list */

struct message {
	uint64_t id;
	uint32_t next[2];	/* of local and remote recipients: monotonic
				 * seconds */
	uint32_t place;		/* in the heap */
	uint32_t link[2];	/* the next one in lists of the caller's */
	uint16_t marks;		/* that queued has not answered */
	uint8_t state;
	uint8_t flags;
	uint32_t reason;	/* of the last deferral: send/reasons.h */
};

struct table_list {
	uint32_t first, last;	/* TABLE_NONE: it is empty */
};

struct table {
	struct message *m;	/* by index; indexes stay, pointers move */
	uint32_t used, room, spare, count;
	uint32_t *hash;
	uint32_t buckets;	/* a power of 2, or 0 */
	uint32_t *heap;
	uint32_t waiting, heap_room;
};
#define TABLE_ZERO { 0, 0, 0, TABLE_NONE, 0, 0, 0, 0, 0, 0 }

/* A new message, both next tries at 0.  1 with its index; 0 known already;
 * -1 out of memory.
 */
extern int table_add(struct table *t, uint64_t id, uint32_t *index);
/* 1, 0. */
extern int table_find(struct table const *t, uint64_t id, uint32_t *index);
extern void table_forget(struct table *t, uint32_t index);
/* The same, later: what is still in a list is forgotten when it leaves it. */
extern void table_gone(struct table *t, uint32_t index);
/* Into a list, at its end, by link n; if it is in such a list already, its old
 * place will do.
 */
extern void table_enlist(struct table *t, uint32_t index, int n,
    struct table_list *list);
/* The first of a list is taken out, and out of the heap if it stood in line for
 * that.  1 with *index: it is its turn, as fresh or parked, whichever it was
 * when it came into that list; 0 it is not any more, and there is nothing to do
 * with it.
 */
extern int table_unlist(struct table *t, int n, struct table_list *list,
    uint32_t *index);

/* Into the heap, by the earlier of its next tries; of equal ones the smaller
 * id is first.  Never fails: table_add has made room.
 */
extern void table_wait(struct table *t, uint32_t index);
/* The first in the heap, or TABLE_NONE. */
extern uint32_t table_first(struct table const *t);
extern uint32_t table_due(struct message const *m);
extern void table_unwait(struct table *t, uint32_t index);
/* It is due at once, but keeps its place in line.  Not while it is in the heap.
 */
extern void table_now(struct message *m);
/* All that wait are due at once. */
extern void table_hurry(struct table *t);

extern void table_free(struct table *t);

#endif
