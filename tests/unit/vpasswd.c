#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/cdbfile.h"
#include "lib/vpasswd.h"
#include "tests/unit/tap.h"

static struct vpasswd p = VPASSWD_ZERO;

static int
parse(char const *s)
{
	return vpasswd_parse(s, strlen(s), &p);
}

static int
back(char const *s)
{
	stralloc out = STRALLOC_ZERO;
	int r = parse(s) == 1 && vpasswd_format(&out, &p) == 1 &&
	    out.len == strlen(s) + 1 && !memcmp(out.s, s, out.len - 1);

	stralloc_free(&out);
	return r;
}

static void
lines(void)
{
	static char const joe[] = "joe:$1$x:1:2:Joe D.:/d/joe:10S";
	stralloc out = STRALLOC_ZERO;

	ok(parse(joe) == 1 && !strcmp(p.name, "joe") &&
	    !strcmp(p.hash, "$1$x") && p.uid == 1 && p.flags == 2 &&
	    !strcmp(p.gecos, "Joe D.") && !strcmp(p.dir, "/d/joe") &&
	    !strcmp(p.quota, "10S") && !*p.clear, "seven fields");
	ok(back(joe) && back("a::0:0:::") && back("a:b:1:2:c:d:e:clear"),
	    "a line is kept as it was");
	p.gecos = "x:y";
	ok(vpasswd_format(&out, &p) == 0 && !out.len, "no colon in a field");
	p.gecos = "x\ny";
	ok(vpasswd_format(&out, &p) == 0, "no newline in a field");
	ok(parse("") == 0 && parse("joe") == 0 && parse(":a:1:2:c:d:e") == 0 &&
	    parse("a:b:c:d:e:f") == 0 && parse("a:b:x:2:c:d:e") == 0 &&
	    parse("a:b:1:-2:c:d:e") == 0 && parse("a:b:1:2x:c:d:e") == 0 &&
	    parse("a:b:1:99999999999999999999:c:d:e") == 0 &&
	    vpasswd_parse("a\0b:b:1:2:c:d:e", 15, &p) == 0,
	    "malformed lines");
	stralloc_free(&out);
}

static void
files(void)
{
	static char const text[] =
	    "ann:h1:1:0:A:/d/ann:NOQUOTA\njoe:h2:1:0:J:/d/joe:1S\nbad:x\n";
	struct cdbmaker m = CDBMAKER_ZERO;
	int there = 7;

	ok(vpasswd_find(".", "joe", 3, &p, &there) == 0 && !there,
	    "no file at all");
	openwritenclose_unsafe("vpasswd", text, sizeof text - 1);
	ok(vpasswd_find(".", "joe", 3, &p, &there) == 1 && there &&
	    !strcmp(p.hash, "h2"), "found in the text");
	ok(vpasswd_find(".", "jo", 2, &p, &there) == 0 && there, "or not");
	ok(vpasswd_find(".", "bad", 3, &p, 0) == -1, "a damaged line");
	cdbmaker_open(&m, "vpasswd.cdb", 0600);
	cdbmaker_add(&m, "joe", 3, "h3:1:0:J:/d/joe:1S", 18);
	cdbmaker_commit(&m);
	ok(vpasswd_find(".", "joe", 3, &p, &there) == 1 &&
	    !strcmp(p.hash, "h3"), "the cdb goes first");
	ok(vpasswd_find(".", "ann", 3, &p, &there) == 0 && there,
	    "and has the last word");
}

int
main(void)
{
	char dir[] = "/tmp/vpasswd.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) == -1)
		return 111;
	lines();
	files();
	stralloc_free(&p.sa);
	chdir("/");
	rm_rf(dir);
	return tap_done();
}
