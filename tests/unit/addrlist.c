#include <string.h>

#include "lib/addrlist.h"
#include "tests/unit/tap.h"

static struct addrlist list = ADDRLIST_ZERO;

/* The addresses of s, joined by '|'; "malformed". */
static char const *
parse(char const *s)
{
	static stralloc out = STRALLOC_ZERO;
	struct addrlist_item const *item;
	size_t i;

	list.text.len = list.items.len = out.len = 0;
	if (addrlist_parse(s, strlen(s), &list) != 1)
		return "malformed";
	item = genalloc_s(struct addrlist_item, &list.items);
	for (i = 0; i < genalloc_len(struct addrlist_item, &list.items); i++) {
		if (i)
			stralloc_append(&out, '|');
		stralloc_catb(&out, list.text.s + item[i].text, item[i].len);
		if (item[i].end > strlen(s))
			return "end out of range";
	}
	stralloc_0(&out);
	return out.s;
}

static void
test_forms(void)
{
	static char const *const table[][2] = {
		{ "", "" },
		{ " , ,\n ", "" },
		{ "a@b", "a@b" },
		{ "joe", "joe" },
		{ " a@b , c@d\n\t, joe ", "a@b|c@d|joe" },
		{ "Joe Q. Public <john.q@example.com>", "john.q@example.com" },
		{ "\"Joe, \\\"X\\\"\" <a@b>, c@d", "a@b|c@d" },
		{ "a@b (Joe (nested) \\) x), c", "a@b|c" },
		{ "a (x) . b (y) @ (z) c . d", "a.b@c.d" },
		{ "\"a b\"@c", "a b@c" },
		{ "\"a\\\"b\"@c", "a\"b@c" },
		{ "\"a\n b\"@c", "a b@c" },
		{ "\"a@b\"@c", "a@b@c" },
		{ "<@r1,@r2:a@b>", "a@b" },
		{ "<>", "" },
		{ "x <>", "" },
		{ "a@[127.0.0.1]", "a@[127.0.0.1]" },
		{ "undisclosed-recipients:;", "" },
		{ "undisclosed-recipients:", "" },
		{ "Group: a@b, C <c@d>;, e@f", "a@b|c@d|e@f" },
		{ "a..b@c", "a..b@c" },
		{ "a.@b", "a.@b" },
		{ "\303\274@b", "\303\274@b" },
		{ "-f@b", "-f@b" },
		{ "root (Cron Daemon)", "root" },
		{ "joe smith", "malformed" },
		{ "joe smith, a@b", "malformed" },
		{ "a@b c@d", "malformed" },
		{ "a@b@c", "malformed" },
		{ "a@", "malformed" },
		{ "@b", "malformed" },
		{ "<a@b", "malformed" },
		{ "a@b>", "malformed" },
		{ "<a@b> x", "malformed" },
		{ "<a@b><c@d>", "malformed" },
		{ "<<a@b>>", "malformed" },
		{ "<@r1,@r2>", "malformed" },
		{ "\"a", "malformed" },
		{ "\"a\\", "malformed" },
		{ "(a", "malformed" },
		{ "(a\\", "malformed" },
		{ "a)", "malformed" },
		{ "a@[1", "malformed" },
		{ "[1]@b", "malformed" },
		{ "a\\b@c", "malformed" },
		{ ":a;", "malformed" },
		{ "g:h:a;", "malformed" },
		{ "a;", "malformed" },
		{ "\"\"", "malformed" },
		{ "\"a\\\nTx\"@b", "malformed" },
	};
	char what[32];
	size_t i;

	for (i = 0; i < sizeof table / sizeof *table; i++) {
		snprintf(what, sizeof what, "list %zu", i);
		ok(strcmp(parse(table[i][0]), table[i][1]) == 0, what);
	}
}

static void
test_places(void)
{
	struct addrlist_item const *item;

	parse("Joe <joe> (x), \"a b\" (c), d@e");
	item = genalloc_s(struct addrlist_item, &list.items);
	ok(item[0].end == 8 && !item[0].has_domain, "end inside of brackets");
	ok(item[1].end == 20 && !item[1].has_domain, "end before a comment");
	ok(item[2].end == 29 && item[2].has_domain, "end of an address");
}

static void
test_nul_and_depth(void)
{
	static char deep[100000];

	list.text.len = list.items.len = 0;
	ok(addrlist_parse("a\0b@c", 5, &list) == 0, "NUL in an atom");
	ok(addrlist_parse("\"a\0b\"@c", 7, &list) == 0, "NUL in quotes");
	memset(deep, '(', sizeof deep);
	ok(addrlist_parse(deep, sizeof deep, &list) == 0, "100000 comments");
	ok(list.text.len == 0 && list.items.len == 0, "nothing remains");
}

int
main(void)
{
	test_forms();
	test_places();
	test_nul_and_depth();
	return tap_done();
}
