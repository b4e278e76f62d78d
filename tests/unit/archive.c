#include <stdlib.h>
#include <string.h>

#include "queue/archive.h"
#include "tests/unit/tap.h"

static stralloc lines = STRALLOC_ZERO;

static void
rule(char const *s)
{
	lines.len = 0;
	stralloc_catb(&lines, s, strlen(s) + 1);
}

static int
extra(char const *env, size_t n, char const *want)
{
	stralloc out = STRALLOC_ZERO;
	int count = archive_extra(&lines, env, n, &out);
	int r = *want ? count == 1 && out.len == strlen(want) + 2 &&
	    out.s[0] == 'T' && !strcmp(out.s + 1, want) : count == 0;

	stralloc_free(&out);
	return r;
}

#define ENV(s) s, sizeof(s)
static char const mail[] = "Fjoe@a.example\0Tann@b.example\0Tx@c.example";

static void
matches(void)
{
	static struct {
		char const *rule, *copy;
	} const t[] = {
		{ "a.example:k@z.example", "k@z.example" },
		{ "A.Example:k@z.example", "k@z.example" },
		{ "c.example:k@z.example", "k@z.example" },
		{ "ANN@b.example:k@z.example", "k@z.example" },
		{ "from:joe@a.example:k@z.example", "k@z.example" },
		{ "to:x@c.example:k@z.example", "k@z.example" },
		{ "*:k@z.example", "k@z.example" },
		{ "from:b.example:k@z.example", "" },
		{ "to:a.example:k@z.example", "" },
		{ "example:k@z.example", "" },
		{ "oe@a.example:k@z.example", "" },
		{ "a.example:x@C.example", "" },	/* is one already */
	};
	unsigned int i;

	for (i = 0; i < sizeof t / sizeof *t; i++) {
		rule(t[i].rule);
		ok(extra(ENV(mail), t[i].copy), t[i].rule);
	}
	rule("to:a.example:k@z.example");
	ok(extra(ENV("F\0Tjoe@a.example"), "k@z.example"), "a bounce");
	rule("from:*:k@z.example");
	ok(extra(ENV("F\0Tjoe"), "k@z.example"), "an address without domain");
}

static void
forms(void)
{
	static char const *const bad[] = { "x", "a.example:", ":k@z.example",
		"from:a.example", "from::k@z.example", "a.example:k",
		"a.example:k@z.example x" };
	char const *which = 0;
	unsigned int i;

	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		rule(bad[i]);
		ok(archive_check(&lines, &which) == 0 &&
		    !strcmp(which, bad[i]), bad[i]);
	}
	rule("a.example:k@z.example");
	ok(archive_check(&lines, &which) == 1, "well formed");
	stralloc_catb(&lines, "*:k@z.example", 14);
	ok(extra(ENV(mail), "k@z.example"), "each address once");
	lines.len = 0;
	ok(archive_check(&lines, &which) == 1 && extra(ENV(mail), ""),
	    "no rules");
}

int
main(void)
{
	matches();
	forms();
	return tap_done();
}
