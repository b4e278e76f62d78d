#include "send/pace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tap.h"

static void
put(char const *file, char const *text)
{
	FILE *f = fopen(file, "w");

	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static int
bad(struct paces *p, char const *line)
{
	char const *file;

	put("control/destinations", line);
	return pace_load(p, &file) == -1;
}

int
main(void)
{
	char dir[] = "/tmp/postern-pace.XXXXXX";
	struct paces p = PACES_ZERO;
	struct pace a, b, c;
	char const *file;

	if (!mkdtemp(dir) || chdir(dir) == -1 || mkdir("control", 0755) == -1)
		return 111;
	ok(pace_load(&p, &file) == 1, "no files: no rules");
	pace_find(&p, "far.example", 1, &a);
	ok(a.limit == PACE_LIMIT && !a.interval && !a.frozen, "defaults");
	put("control/destinations", "slow.example:2:60/60\n"
	    ".big.example:100\nfast.example::10/1\n:7\n");
	put("control/frozen", "Stuck.example\n.cold.example\n");
	ok(pace_load(&p, &file) == 1, "both are read");
	pace_find(&p, "slow.example", 1, &a);
	pace_find(&p, "mx.big.example", 1, &b);
	pace_find(&p, "other.example", 1, &c);
	ok(a.limit == 2 && a.interval == 1000 && b.limit == 100 &&
	    !b.interval && c.limit == 7, "a domain, a suffix, all others");
	pace_find(&p, "fast.example", 1, &a);
	ok(a.limit == PACE_LIMIT && a.interval == 100, "empty is the default");
	pace_find(&p, "stuck.example", 1, &a);
	pace_find(&p, "v-joe@stuck.example", 0, &b);
	pace_find(&p, "x.cold.example", 1, &c);
	ok(a.frozen && b.frozen && c.frozen && b.limit == PACE_LIMIT,
	    "frozen domains, local ones too; local ones have no rule");
	ok(bad(&p, "nothing\n") && bad(&p, "a:x\n") && bad(&p, "a:0\n") &&
	    bad(&p, "a:1:5\n") && bad(&p, "a:1:5/0\n") &&
	    bad(&p, "a:2000\n"), "malformed lines are refused");
	pace_find(&p, "slow.example", 1, &a);
	ok(a.limit == 2, "and the old rules stay");
	unlink("control/destinations");
	unlink("control/frozen");
	rmdir("control");
	rmdir(dir);
	return tap_done();
}
