/* rulesrun applies access rules behind any front end that speaks UCSPI: it
 * looks the client up, sets what the rule sets, and runs a program; or
 * refuses.
 *
 * Runs as: the service's user.  Reads: the cdb.  Writes: a line to a refused
 * client.  Trusts: the rules, and the front end for the client's address.
 * Trusted by: the program.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/exec.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/log.h"
#include "rules/refusal.h"
#include "rules/rule.h"

#define USAGE "rulesrun [-qX] [-B smtp|pop3|text] cdb prog..."

static void
refuse(struct rule_client const *who, struct rule const *r,
    char const *line, int quiet)
{
	ssize_t n;

	if (!quiet) {
		log_start("info", "denied");
		log_string("remote", who->ip);
		log_value("rule", r->key, r->keylen);
		log_end();
	}
	if (line) {
		n = write(1, line, strlen(line));
		(void)n;	/* the client may have gone */
	}
	_exit(EXIT_PERM);
}

/* What exec adds to the environment. */
static void
collect(struct rule const *r, stralloc *edits)
{
	char const *s;
	size_t pos = 0;

	while (rule_variable(r, &pos, &s))
		if (!stralloc_catb(edits, s, strlen(s) + 1))
			strerr_diefusys(EXIT_TEMP, "set what the rule sets");
}

/* 1, 0 */
static int
find(char const *file, struct rule_client const *who, int open_without,
    struct rule *r)
{
	static struct cdbfile c = CDBFILE_ZERO;
	int found = cdbfile_open(&c, file);

	if (found == 0 && open_without)
		return 0;
	if (found == 1)
		found = rule_find(&c, who, time(0), r);
	else
		found = -1;
	if (found == -1)
		strerr_diefusys(EXIT_TEMP, "read ", file);
	return found;
}

int
main(int argc, char const *const *argv)
{
	struct rule_client who = {
		getenv("TCPREMOTEIP"), getenv("TCPREMOTEHOST"),
		getenv("TCPREMOTEINFO")
	};
	static struct refusal lines;
	struct rule r;
	stralloc edits = STRALLOC_ZERO;
	subgetopt l = SUBGETOPT_ZERO;
	char const *text = 0;
	int opt, open_without = 0, quiet = 0;

	PROG = "rulesrun";
	while ((opt = subgetopt_r(argc, argv, "qXB:", &l)) != -1)
		switch (opt) {
		case 'q': quiet = 1; break;
		case 'X': open_without = 1; break;
		case 'B': text = l.arg; break;
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	argc -= l.ind;
	argv += l.ind;
	if (argc < 2)
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (!refusal_lines(&lines, text))
		strerr_dief(EXIT_USAGE, "text of -B is too long");
	if (!who.ip)
		strerr_dienotset(EXIT_USAGE, "TCPREMOTEIP");
	if (find(argv[0], &who, open_without, &r)) {
		if (r.deny)
			refuse(&who, &r, lines.denied, quiet);
		collect(&r, &edits);
	}
	mexec_m(argv + 1, edits.s, edits.len);
	strerr_diefusys(EXIT_TEMP, "run ", argv[1]);
}
