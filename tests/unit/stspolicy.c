#include <string.h>

#include "remote/stspolicy.h"
#include "tests/unit/tap.h"

static struct stspolicy p = STSPOLICY_ZERO;

static int
parse(char const *s)
{
	return stspolicy_parse(&p, s, strlen(s));
}

#define START "version: STSv1\r\nmode: enforce\r\nmax_age: 86400\r\n"

static void
policies(void)
{
	ok(parse(START "mx: a.example\r\nmx: *.b.example\r\n") == 1 &&
	    p.enforce && p.max_age == 86400 && p.mx.len == 22, "a policy");
	ok(stspolicy_names(&p, "A.example") && stspolicy_names(&p,
	    "x.B.example") && !stspolicy_names(&p, "b.example") &&
	    !stspolicy_names(&p, "y.x.b.example") &&
	    !stspolicy_names(&p, "x.a.example") &&
	    !stspolicy_names(&p, ".b.example") && !stspolicy_names(&p, ""),
	    "a star is one label");
	ok(parse("version:STSv1\nmode:testing\nmax_age:1\nx: y\nnoise\n\n") ==
	    1 && !p.enforce, "LF alone, other fields, testing");
	ok(parse("version: STSv1\nmode: none\nmax_age: 99999999999") == 1 &&
	    p.max_age == 31557600, "no mode; an age that is too large");
	ok(parse(START) == 0, "enforce without an exchanger");
	ok(parse("mode: enforce\nmax_age: 1\nmx: a\n") == 0 &&
	    parse("version: STSv2\nmode: enforce\nmax_age: 1\nmx: a\n") == 0 &&
	    parse("version: STSv1\nmode: maybe\nmax_age: 1\nmx: a\n") == 0 &&
	    parse("version: STSv1\nmode: enforce\nmx: a\n") == 0 &&
	    parse("version: STSv1\nmode: enforce\nmax_age: -1\nmx: a\n") == 0 &&
	    parse("<html>") == 0 && parse("") == 0, "what is none");
	ok(stspolicy_parse(&p, START "mx: a\0b.example\n", sizeof START + 15)
	    == 0, "NUL is in no name");
	ok(parse(START "mx: a/b\nmx: *\nmx: *.\nmx: ok.example\n") == 1 &&
	    p.mx.len == 11, "patterns that are no names are not taken");
	ok(parse("mode: testing\nmode: enforce\nversion: STSv1\nmax_age: 5\n"
	    "max_age: 6\n") == 1 && !p.enforce && p.max_age == 5,
	    "of equal fields the first one");
}

static int
id(char const *txt, char const *expected)
{
	char got[STS_ID + 1];
	int r = stspolicy_id(txt, got);

	return *expected ? r == 1 && !strcmp(got, expected) : r == 0;
}

static void
records(void)
{
	ok(id("\"v=STSv1;\\040id=20160831085700Z;\"", "20160831085700Z") &&
	    id("\"v=STSv1;id=1\"", "1") &&
	    id("\"v=STSv1;x=y;\\040\\040id=a9\"", "a9"), "ids");
	ok(id("\"v=STSv1\"", "") && id("\"v=STSv12;id=1\"", "") &&
	    id("\"v=spf1\\040id=1\"", "") && id("\"v=STSv1;id=\"", "") &&
	    id("\"v=STSv1;id=a-b\"", "") && id("id=1", "") && id("\"", "") &&
	    id("", "") && id("\"v=STSv1;id=a\\000b\"", "a") &&
	    id("\"v=STSv1;id=012345678901234567890123456789012\"", ""),
	    "what is no record");
}

int
main(void)
{
	policies();
	records();
	return tap_done();
}
