#include <string.h>

#include "scanq/rule.h"
#include "tests/unit/tap.h"

static stralloc work = STRALLOC_ZERO;
static struct rule r;
static char const *why, *warning;

static int
reads(char const *s)
{
	return rule_read(s, strlen(s), &work, &r, &why, &warning);
}

static int
is(struct span const *a, char const *s)
{
	return a->n == strlen(s) && !memcmp(a->s, s, a->n);
}

static void
files(void)
{
	ok(reads("Happy99.EXE\t10000\tHappy99 Trojan") == 1 &&
	    r.subject == SUBJECT_NAME && is(&r.key, "happy99.exe") &&
	    r.test == SIZE_EQUAL && r.size == 10000 &&
	    is(&r.text, "Happy99 Trojan") && r.action == ACTION_QUARANTINE,
	    "a name with a size");
	ok(reads(".exe\t0\tExecutable File (.exe)") == 1 &&
	    r.subject == SUBJECT_EXTENSION && is(&r.key, ".exe") &&
	    r.test == SIZE_ANY, "an extension of any size");
	ok(reads(".exe\t\t\tSIZE=-1\t\tx") == 1 && r.test == SIZE_ANY &&
	    is(&r.text, "x"), "several tabs; SIZE=-1");
	ok(reads("a.doc\tSIZE=>5\tx") == 1 && r.test == SIZE_ABOVE &&
	    r.size == 5, "SIZE=>5");
	ok(reads("*.exe\t0\tx") == 1 && is(&r.key, ".exe") && warning,
	    "a star before an extension is taken, with a warning");
	ok(reads("a*.exe\t0\tx") == -1 && why, "other wildcards are not");
	ok(reads(".wsf 0 Windows Scripting File") == -1 && why,
	    "blanks do not separate");
	ok(reads("# .exe\t0\tx") == 0 && reads("") == 0 && reads("\r") == 0,
	    "comments and blank lines");
}

static void
headers(void)
{
	ok(reads("message/partial.*\tVirus-Content-Type:\tblocked") == 1 &&
	    r.subject == SUBJECT_HEADER && is(&r.key, "content-type") &&
	    is(&r.pattern, "message/partial.*") &&
	    r.action == ACTION_QUARANTINE, "Virus-Content-Type");
	ok(reads(".* sex.*\tVirus-Subject\tSpam Mail") == 1 &&
	    is(&r.key, "subject"), "without its colon");
	ok(reads("{100,}\tVirus-Date:\tx") == 1 && warning &&
	    is(&r.pattern, ".{100,}"), "a lost dot is put back, and said");
	ok(reads(".*@sex\\.com\tVirus-MAILFROM:\tSpam") == 1 &&
	    r.subject == SUBJECT_PSEUDO && is(&r.key, "mailfrom"),
	    "Virus-MAILFROM is the envelope's");
	ok(reads("1\\.2\\.3\\.4\tVirus-REMOTEIPADDR:\tx") == 1 &&
	    is(&r.key, "tcpremoteip"), "REMOTEIPADDR is TCPREMOTEIP");
	ok(reads("x\tPolicy-Subject:\tx") == 1 && r.action == ACTION_REFUSE,
	    "Policy- is told to the sender");
	ok(reads("x\tVirus-ZIPPASSWORDPROTECTED:\tx") == 1 &&
	    r.subject == SUBJECT_ANOMALY && is(&r.key, "encrypted"),
	    "virtual headers of 2.x are anomalies");
	ok(reads("(x\tVirus-Subject:\tx") == -1 && why, "a bad pattern");
	ok(reads("x\tVirus-:\tx") == -1 && reads("x\tFoo\tx") == -1,
	    "bad types");
}

static void
own(void)
{
	ok(reads("exe\tMagic action=refuse rcpt=example.com\tx") == 1 &&
	    r.subject == SUBJECT_MAGIC && r.action == ACTION_REFUSE &&
	    is(&r.rcpt, "example.com"), "options");
	ok(reads("exes\tMagic\tx") == -1 && reads("foo\tAnomaly\tx") == -1,
	    "unknown names are mistakes");
	ok(reads("exe\tMagic action=foo\tx") == -1 &&
	    reads("exe\tMagic foo\tx") == -1, "so are unknown options");
	ok(reads("exe\tMagic action=discard\tx") == -1 &&
	    reads("Eicar.*\tSignature action=discard\tx") == 1,
	    "only signatures can be discarded");
	ok(reads(">20000000\tMessage-Size\tx") == 1 &&
	    r.test == SIZE_ABOVE && r.size == 20000000, "a message's size");
	ok(reads("00\tSHA256\tx") == -1, "a hash has 64 digits");
}

static void
packs(void)
{
	stralloc s = STRALLOC_ZERO;
	struct rule u;

	reads(".exe\tSIZE=<7 from=a@b.c rcpt=.d user=e ip=10. in=archive\tt");
	ok(rule_pack(&s, &r) == 1 && rule_unpack(s.s, s.len, &u) == 1 &&
	    u.subject == r.subject && u.size == 7 && u.test == SIZE_BELOW &&
	    u.place == PLACE_ARCHIVE && is(&u.from, "a@b.c") &&
	    is(&u.rcpt, ".d") && is(&u.user, "e") && is(&u.ip, "10.") &&
	    is(&u.text, "t"), "a record and back");
	ok(rule_unpack(s.s, s.len - 1, &u) == 0 && rule_unpack(s.s, 3, &u) ==
	    0, "a cut record");
	stralloc_free(&s);
}

static int
covers(char const *who, char const *s)
{
	struct span w = { who, strlen(who) };

	return rule_covers(&w, s, strlen(s));
}

static void
addresses(void)
{
	ok(covers("a@b.c", "A@B.C") && !covers("a@b.c", "aa@b.c"),
	    "an address");
	ok(covers("b.c", "x@b.c") && covers("@b.c", "x@B.c") &&
	    !covers("b.c", "x@a.b.c") && !covers("b.c", "b.c"), "a domain");
	ok(covers(".b.c", "x@a.b.c") && !covers(".b.c", "x@b.c"),
	    "the domains below");
}

int
main(void)
{
	files();
	headers();
	own();
	packs();
	addresses();
	return tap_done();
}
