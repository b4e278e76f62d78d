/* rulescheck shows what the access rules say about a client, and the line
 * that decides.
 *
 * Runs as: the administrator.  Reads: the cdb, and the rules it was made
 * from.  Writes: standard output.  Trusts: both files.  Trusted by: no program.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/buffer.h>
#include <skalibs/djbunix.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/exitcode.h"
#include "rules/rule.h"
#include "rules/ruleline.h"

#define USAGE "rulescheck [-f rules] cdb [ip [host [info]]]"

static void
puts_out(char const *s)
{
	if (buffer_puts(buffer_1, s) == -1)
		strerr_diefusys(EXIT_TEMP, "write standard output");
}

static void
put_out(char const *s, size_t n)
{
	if (buffer_put(buffer_1, s, n) == -1)
		strerr_diefusys(EXIT_TEMP, "write standard output");
}

static void
flush_out(void)
{
	if (!buffer_flush(buffer_1))
		strerr_diefusys(EXIT_TEMP, "write standard output");
}

/* tcprulescheck's own words. */
static void
show_rule(struct rule const *r)
{
	size_t pos = 0;
	char const *s;

	puts_out("rule ");
	put_out(r->key, r->keylen);
	puts_out(":\n");
	while (!r->deny && rule_variable(r, &pos, &s)) {
		puts_out("set environment variable ");
		puts_out(s);
		puts_out("\n");
	}
	puts_out(r->deny ? "deny connection\n" : "allow connection\n");
}

static void
show_until(struct rule const *r)
{
	char text[32];
	time_t t = r->until;
	struct tm tm;

	if (!r->until || !gmtime_r(&t, &tm))
		return;
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	puts_out("until ");
	puts_out(text);
	puts_out("\n");
}

/* Does this line make the rule? */
static int
makes(struct ruleline const *l, struct rule const *r)
{
	size_t i, n;

	if (l->until != r->until)
		return 0;
	for (i = 0; i < l->keys.len; i += n + 1) {
		n = strlen(l->keys.s + i);
		if (n == r->keylen && memcmp(l->keys.s + i, r->key, n) == 0)
			return 1;
	}
	return 0;
}

static void
show_line(char const *file, struct rule const *r)
{
	stralloc all = STRALLOC_ZERO;
	struct ruleline l = RULELINE_ZERO;
	char number[UINT_FMT];
	unsigned int line = 0;
	size_t i, n;

	if (!openslurpclose(&all, file))
		strerr_diefusys(EXIT_TEMP, "read ", file);
	for (i = 0; i < all.len; i += n + 1) {
		char const *lf = memchr(all.s + i, '\n', all.len - i);

		n = lf ? (size_t)(lf - all.s) - i : all.len - i;
		line++;
		if (ruleline_parse(all.s + i, n, &l) != 1 || !makes(&l, r))
			continue;
		number[uint_fmt(number, line)] = 0;
		puts_out("line ");
		puts_out(number);
		puts_out(" of ");
		puts_out(file);
		puts_out(": ");
		put_out(all.s + i, n);
		puts_out("\n");
		break;
	}
	ruleline_free(&l);
	stralloc_free(&all);
}

/* smtp.cdb is made from smtp, if there is such a file. */
static char const *
source_of(char const *cdb)
{
	size_t n = strlen(cdb);
	char *s = strdup(cdb);

	if (!s)
		strerr_diefusys(EXIT_TEMP, "find the rules of ", cdb);
	if (n < 5 || strcmp(s + n - 4, ".cdb") != 0)
		return 0;
	s[n - 4] = 0;
	return access(s, F_OK) == 0 ? s : 0;
}

static void
warn_if_newer(char const *file, char const *cdb)
{
	struct stat a, b;

	if (stat(file, &a) == 0 && stat(cdb, &b) == 0 &&
	    a.st_mtime > b.st_mtime)
		strerr_warnw(file, " is newer than ", cdb,
		    ": run rulesmake");
}

static int
find(char const *cdb, struct rule_client const *who, struct rule *r)
{
	static struct cdbfile c = CDBFILE_ZERO;
	int found = cdbfile_open(&c, cdb);

	if (found != 1)
		strerr_diefusys(EXIT_TEMP, "read ", cdb);
	found = rule_find(&c, who, time(0), r);
	if (found == -1)
		strerr_diefusys(EXIT_TEMP, "read ", cdb);
	return found;
}

int
main(int argc, char const *const *argv)
{
	struct rule_client who;
	struct rule r;
	subgetopt l = SUBGETOPT_ZERO;
	char const *file = 0;
	int opt;

	PROG = "rulescheck";
	while ((opt = subgetopt_r(argc, argv, "f:", &l)) != -1) {
		if (opt != 'f')
			strerr_dieusage(EXIT_USAGE, USAGE);
		file = l.arg;
	}
	argc -= l.ind;
	argv += l.ind;
	if (argc < 1 || argc > 4)
		strerr_dieusage(EXIT_USAGE, USAGE);
	who.ip = argc > 1 ? argv[1] : getenv("TCPREMOTEIP");
	who.host = argc > 1 ? argv[2] : getenv("TCPREMOTEHOST");
	who.info = argc > 1 ? argc > 2 ? argv[3] : 0 : getenv("TCPREMOTEINFO");
	if (!who.ip)
		who.ip = "0.0.0.0";
	if (!file)
		file = source_of(argv[0]);
	if (!find(argv[0], &who, &r)) {
		puts_out("default:\nallow connection\n");
	} else {
		show_rule(&r);
		show_until(&r);
		if (file)
			show_line(file, &r);
	}
	if (file)
		warn_if_newer(file, argv[0]);
	flush_out();
	return 0;
}
