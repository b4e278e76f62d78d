#include <stdio.h>
#include <string.h>

#include "tests/unit/tap.h"
#include "tools/guardcount.h"
#include "tools/wildmat.h"

#define S UINT64_C(1000000)

static struct guardcount c;

static uint32_t
add(char const *name, uint64_t seconds)
{
	uint32_t sum = 0;

	return guardcount_add(&c, name, seconds * S, &sum) ? sum : 0;
}

static void
test_window(void)
{
	struct guardcount_name *e;

	guardcount_init(&c, 300);
	ok(add("ca", 100000) == 1 && add("ca", 100200) == 2 &&
	    add("ca", 100299) == 3, "all of a window count");
	ok(add("ca", 100330) == 3, "what has left it does not");
	ok(add("ca", 100200) == 4, "one that comes late counts in its place");
	ok(add("ca", 90000) == 0, "one that is too late does not count");
	e = guardcount_get(&c, "ca");
	e->level = 2;
	ok(add("ca", 200000) == 1 && e->level == 0,
	    "after an empty window everything begins anew");
	ok(add("cb", 200000) == 1 && !guardcount_get(&c, "cc"),
	    "each name for itself");
}

static void
test_state(void)
{
	static struct guardcount back;
	stralloc s = STRALLOC_ZERO;
	char *next, *p;
	uint32_t sum = 0;

	add("cb", 200010);
	guardcount_get(&c, "cb")->level = 1;
	guardcount_save(&c, 200020 * S, &s);
	stralloc_0(&s);
	guardcount_init(&back, 300);
	for (p = s.s; *p; p = next) {
		next = strchr(p, '\n');
		*next++ = 0;
		if (strncmp(p, "key ", 4) != 0 ||
		    guardcount_load(&back, p + 4, 200020 * S) != 1)
			printf("# %s\n", p);
	}
	ok(guardcount_add(&back, "cb", 200020 * S, &sum) && sum == 3 &&
	    guardcount_get(&back, "cb")->level == 1, "saved and loaded");
	s.len = 0;
	guardcount_save(&c, 300000 * S, &s);
	ok(s.len == 0, "what does not count any more is not saved");
	ok(guardcount_load(&back, (char []){ "cz" }, S) == 0 &&
	    guardcount_load(&back, (char []){ "cz 5 1 2 3" }, S) == 0,
	    "malformed lines");
	ok(guardcount_load(&back, (char []){ "cf 999999 0 1 1 1 1 1 1 1 1 1 1"
	    " 1 1 1 1 1 1 1 1 1 1" }, 15 * S) == 1 &&
	    !guardcount_get(&back, "cf"),
	    "counts of a time to come, from a clock that was ahead, go");
	stralloc_free(&s);
}

static void
test_flood(void)
{
	char name[32];
	uint32_t i;

	for (i = 0; i < 50; i++)
		add("cbusy", 400000);
	for (i = 0; i < 200000; i++) {
		snprintf(name, sizeof name, "c%u", i);
		add(name, 400000);
	}
	ok(c.names.n <= GUARDCOUNT_NAMES && add("cbusy", 400000) == 51,
	    "a flood of names leaves the one that counts");
}

static void
test_wildmat(void)
{
	char deep[64];

	ok(wildmat("a@sans.org", "*@sans.org") &&
	    wildmat("A@SANS.org", "*@sans.ORG") &&
	    !wildmat("a@sans.org.evil", "*@sans.org"), "star");
	ok(wildmat("192.0.2.7", "192.0.2.[0-9]") &&
	    !wildmat("192.0.2.7", "192.0.2.[^5-8]") &&
	    wildmat("a]b", "a[]]b") && wildmat("a-b", "a[+-]b"), "classes");
	ok(wildmat("a*b", "a\\*b") && !wildmat("axb", "a\\*b") &&
	    wildmat("axb", "a?b") && !wildmat("ab", "a?b") &&
	    wildmat("a[b", "a[b") && wildmat("", "**") && !wildmat("", "?"),
	    "the rest");
	memset(deep, 'a', 60);
	deep[60] = 0;
	ok(!wildmat(deep, "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"),
	    "no pattern takes for ever");
}

int
main(void)
{
	test_window();
	test_state();
	test_flood();
	test_wildmat();
	return tap_done();
}
