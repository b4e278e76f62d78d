#include "send/table.h"

#include <stdlib.h>

#include "tests/unit/tap.h"

static uint64_t seed = 1;

static uint32_t
any(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void
test_find(void)
{
	struct table t = TABLE_ZERO;
	uint32_t i = 9, j = 9;

	ok(table_find(&t, 5, &i) == 0 && i == 9, "an empty table has nothing");
	ok(table_add(&t, 5, &i) == 1 && table_add(&t, 5, &j) == 0 && j == 9,
	    "an id is added once");
	ok(table_find(&t, 5, &j) == 1 && j == i && t.m[i].id == 5, "found");
	table_forget(&t, i);
	ok(table_find(&t, 5, &j) == 0 && t.count == 0, "forgotten");
	ok(table_add(&t, 6, &j) == 1 && j == i, "its place is used again");
	table_free(&t);
}

/* Ids as queued makes them; a model is an array of flags. */
static void
test_model(void)
{
	enum { IDS = 20000 };
	static unsigned char here[IDS];
	struct table t = TABLE_ZERO;
	uint32_t i, k, count = 0, step, good = 1;

	for (step = 0; step < 200000; step++) {
		k = any(IDS);
		if (any(2)) {
			good &= table_add(&t, 1700000000000000 + k * 1000, &i)
			    == !here[k];
			count += !here[k];
			here[k] = 1;
		} else {
			int r = table_find(&t, 1700000000000000 + k * 1000,
			    &i);

			good &= r == here[k];
			if (r == 1)
				table_forget(&t, i);
			count -= here[k];
			here[k] = 0;
		}
	}
	for (k = 0; k < IDS; k++)
		good &= table_find(&t, 1700000000000000 + k * 1000, &i) ==
		    here[k];
	ok(good && t.count == count,
	    "200,000 random additions and removals agree with a model");
	table_free(&t);
}

static void
test_heap(void)
{
	struct table t = TABLE_ZERO;
	uint32_t i, k, last = 0, good = 1;
	uint64_t lastid = 0;

	for (k = 1; k <= 5000; k++) {
		table_add(&t, k, &i);
		t.m[i].next[0] = any(500);
		t.m[i].next[1] = any(2) ? TABLE_NEVER : any(500);
		table_wait(&t, i);
	}
	for (k = 1; k <= 5000; k += 7) {	/* some go from the middle */
		table_find(&t, k, &i);
		table_unwait(&t, i);
		table_forget(&t, i);
	}
	while ((i = table_first(&t)) != TABLE_NONE) {
		uint32_t due = table_due(&t.m[i]);

		good &= due > last || (due == last && t.m[i].id > lastid);
		last = due;
		lastid = t.m[i].id;
		table_unwait(&t, i);
	}
	ok(good && t.waiting == 0,
	    "come out by the earlier next try, then by id");
	table_free(&t);
}

static void
test_hurry(void)
{
	struct table t = TABLE_ZERO;
	uint32_t i, k, good = 1;

	for (k = 100; k > 0; k--) {
		table_add(&t, k, &i);
		t.m[i].next[0] = k < 50 ? 1000 : 2000;
		t.m[i].next[1] = TABLE_NEVER;
		table_wait(&t, i);
	}
	table_hurry(&t);
	for (k = 1; k <= 100; k++) {
		i = table_first(&t);
		good &= t.m[i].id == k && table_due(&t.m[i]) == 0;
		table_unwait(&t, i);
	}
	ok(good, "hurry makes all due, in the order of their ids");
	table_free(&t);
}

static void
test_in_line(void)
{
	struct table t = TABLE_ZERO;
	struct table_list list[2] = { { TABLE_NONE, 0 }, { TABLE_NONE, 0 } };
	uint32_t i, j, k, good = 1;

	for (k = 1; k <= 100; k++) {
		table_add(&t, k, &i);
		t.m[i].next[k % 2] = TABLE_IN_LINE;
		t.m[i].next[!(k % 2)] = 1000 + k;
		table_wait(&t, i);
		table_enlist(&t, i, k % 2, &list[k % 2]);
	}
	for (k = 1; k <= 99; k += 2)
		good &= table_unlist(&t, 1, &list[1], &i) == 1 &&
		    t.m[i].id == k && t.m[i].next[1] == 0 &&
		    t.m[i].next[0] == 1000 + k;
	ok(good && list[1].first == TABLE_NONE, "a list is a queue");
	for (k = 2; k <= 100; k += 2) {
		i = table_first(&t);
		good &= table_due(&t.m[i]) == 1000 + k;
		table_unwait(&t, i);
		t.m[i].state = TABLE_PARKED;
	}
	ok(good && t.waiting == 0, "its turn in line takes it out of the heap");
	t.m[i].state = TABLE_ACTIVE;
	while (list[0].first != i)
		good &= table_unlist(&t, 0, &list[0], &j) == 1;
	ok(good && table_unlist(&t, 0, &list[0], &j) == 0 &&
	    t.m[i].next[0] == 0,
	    "what is active then is due there when it is not any more");
	t.m[i].next[1] = TABLE_IN_LINE;
	table_wait(&t, i);
	table_hurry(&t);
	ok(t.m[i].next[0] == 0 && t.m[i].next[1] == TABLE_IN_LINE,
	    "in a hurry it keeps its place in line");
	table_free(&t);
}

static void
test_unlist(void)
{
	struct table t = TABLE_ZERO;
	struct table_list list[2] = { { TABLE_NONE, 0 }, { TABLE_NONE, 0 } };
	uint32_t i, j, state, good = 1;

	table_add(&t, 5, &i);
	for (state = TABLE_FRESH; state < TABLE_GONE; state++) {
		t.m[i].state = state;
		t.m[i].flags = TABLE_KNOWN;
		table_enlist(&t, i, 0, &list[0]);
		table_enlist(&t, i, 0, &list[0]);
		good &= table_unlist(&t, 0, &list[0], &j) == (state ==
		    TABLE_FRESH || state == TABLE_PARKED) &&
		    list[0].first == TABLE_NONE && t.m[i].flags == TABLE_KNOWN;
	}
	ok(good, "fresh or parked, it has its turn, whichever list it was in");
	table_enlist(&t, i, 0, &list[0]);
	table_enlist(&t, i, 1, &list[1]);
	table_gone(&t, i);
	ok(table_unlist(&t, 1, &list[1], &j) == 0 &&
	    table_find(&t, 5, &j) == 1 && t.m[i].state == TABLE_GONE &&
	    table_unlist(&t, 0, &list[0], &j) == 0 &&
	    table_find(&t, 5, &j) == 0,
	    "gone, it is forgotten when it leaves its last list");
	table_free(&t);
}

static void
test_size(void)
{
	struct table t = TABLE_ZERO;
	uint32_t i, k;
	size_t bytes;

	for (k = 0; k < 1000000; k++)
		if (table_add(&t, 1700000000000000000 + k * 1000, &i) != 1)
			break;
	bytes = t.room * sizeof *t.m + t.buckets * sizeof *t.hash +
	    t.heap_room * sizeof *t.heap;
	ok(k == 1000000 && bytes <= (size_t)k * 80,
	    "a million messages take at most 80 bytes each");
	table_free(&t);
}

int
main(void)
{
	test_find();
	test_model();
	test_heap();
	test_hurry();
	test_in_line();
	test_unlist();
	test_size();
	return tap_done();
}
