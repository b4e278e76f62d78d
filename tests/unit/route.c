#include "lib/route.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "tests/unit/tap.h"

static struct route r = ROUTE_ZERO;

static void
file(char const *name, char const *text)
{
	if (!openwritenclose_unsafe(name, text, strlen(text)))
		_exit(111);
}

/* Does addr give that kind, address and prefix? */
static int
gives(char const *addr, int kind, char const *want, size_t wantprefix)
{
	stralloc out = STRALLOC_ZERO;
	size_t prefix = 99;
	int good = route_address(&r, addr, strlen(addr), &out, &prefix) ==
	    kind && out.len == strlen(want) &&
	    memcmp(out.s, want, out.len) == 0 &&
	    (kind == 0 || prefix == wantprefix);

	stralloc_free(&out);
	return good;
}

static void
test_defaults(void)
{
	ok(route_load(&r) == 1 && gives("a", 0, "a@envnoathost", 0),
	    "without control files an address without a host gets qmail's");
	file("control/me", "me.example\n");
	ok(route_load(&r) == 1, "loads with control/me alone");
	ok(gives("joe@Me.Example", 1, "joe@Me.Example", 0),
	    "control/me is the default of locals, case ignored");
	ok(gives("joe", 1, "joe@me.example", 0), "and of envnoathost");
	ok(gives("joe@x.example", 0, "joe@x.example", 0),
	    "any other domain is remote");
	file("control/locals", "");
	ok(route_load(&r) == 1 && gives("a@me.example", 0, "a@me.example", 0),
	    "an empty locals makes nothing local");
	file("control/locals", "one.example\n#two.example\nthree.example");
	ok(route_load(&r) == 1 && gives("a@one.example", 1, "a@one.example", 0)
	    && gives("a@three.example", 1, "a@three.example", 0) &&
	    gives("a@two.example", 0, "a@two.example", 0),
	    "locals lists domains, with comments");
}

static void
test_virtual(void)
{
	file("control/virtualdomains", "joe@v.example:joseph\n"
	    "v.example:vee\n.v.example:sub\nno.v.example:\n"
	    "one.example:never\nnocolon.example\n"
	    "twice.example:first\nTwice.example:last\n");
	route_load(&r);
	ok(gives("joe@V.example", 1, "joseph-joe@V.example", 7),
	    "a whole address is looked up first");
	ok(gives("x@v.example", 1, "vee-x@v.example", 4), "then its domain");
	ok(gives("x@a.b.v.example", 1, "sub-x@a.b.v.example", 4),
	    "then each parent with its dot");
	ok(gives("x@no.v.example", 0, "x@no.v.example", 0),
	    "an empty prepend is an exception");
	ok(gives("x@one.example", 1, "x@one.example", 0),
	    "locals come before virtualdomains");
	ok(gives("x@nocolon.example", 0, "x@nocolon.example", 0),
	    "an entry without a colon is nothing");
	ok(gives("x@twice.example", 1, "last-x@twice.example", 5),
	    "of equal entries the last counts");
	ok(gives("a@b@v.example", 1, "vee-a@b@v.example", 4),
	    "the last @ separates the domain");
	file("control/virtualdomains", ":all\n");
	route_load(&r);
	ok(gives("x@anything.example", 1, "all-x@anything.example", 4),
	    "the empty name takes everything else");
	unlink("control/virtualdomains");
}

static void
test_percent(void)
{
	file("control/percenthack", "one.example\nthree.example\n");
	route_load(&r);
	ok(gives("a%x.example@one.example", 0, "a@x.example", 0),
	    "percenthack turns % to @");
	ok(gives("a%x.example%three.example@one.example", 0, "a@x.example", 0),
	    "as often as it applies");
	ok(gives("a%b@x.example", 0, "a%b@x.example", 0),
	    "but for its own domains only");
}

static void
test_many(void)
{
	stralloc sa = STRALLOC_ZERO;
	char line[64];
	int i, good = 1;

	for (i = 0; i < 5000; i++) {
		snprintf(line, sizeof line, "d%d.example:p%d\n", i, i);
		stralloc_cats(&sa, line);
	}
	stralloc_0(&sa);
	file("control/virtualdomains", sa.s);
	route_load(&r);
	for (i = 0; i < 5000; i++) {
		char want[64];

		snprintf(line, sizeof line, "u@d%d.example", i);
		snprintf(want, sizeof want, "p%d-u@d%d.example", i, i);
		good &= gives(line, 1, want, strcspn(want, "-") + 1);
	}
	ok(good, "finds each of 5000 virtual domains");
	stralloc_free(&sa);
	unlink("control/virtualdomains");
	mkdir("control/virtualdomains", 0755);
	ok(route_load(&r) == -1 && gives("u@d1.example", 1, "p1-u@d1.example",
	    3), "a file that cannot be read leaves the old tables");
}

int
main(void)
{
	char dir[] = "/tmp/route.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) == -1 || mkdir("control", 0755) == -1)
		return 111;
	test_defaults();
	test_virtual();
	test_percent();
	test_many();
	route_free(&r);
	rm_rf(dir);
	return tap_done();
}
