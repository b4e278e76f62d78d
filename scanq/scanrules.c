#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "scanq/ruleset.h"
#include "scanq/simcontrol.h"

#define USAGE "scanrules [-in] [file [cdb]]  or  scanrules -s simcontrol"

char const *PROG = "scanrules";

enum { FILE_MOST = 64 << 20 };

struct work {
	char const *file;
	struct ruleset_maker *maker;	/* 0: only test */
	int any_size;			/* -i */
	stralloc line;
	unsigned long number;
	unsigned long rules;
	unsigned long bad;
};

static void
say(struct work const *w, char const *level, char const *what)
{
	char fmt[UINT64_FMT];

	fmt[uint64_fmt(fmt, w->number)] = 0;
	strerr_warn(PROG, ": ", level, ": ", w->file, ":", fmt, ": ", what);
}

static void
die_memory(void)
{
	strerr_dief1x(EXIT_TEMP, "out of memory");
}

static void
take_rule(struct work *w, struct rule *r)
{
	w->rules++;
	if (w->any_size && r->subject == SUBJECT_EXTENSION)
		r->test = SIZE_ANY;
	if (!w->maker || w->bad)
		return;
	if (w->rules > RULE_MOST)
		strerr_dief2x(EXIT_PERM, w->file, ": more than 100000 rules");
	if (ruleset_add(w->maker, r) == -1)
		strerr_diefu1sys(EXIT_TEMP, "write the new table");
}

/* A line that has not three columns is passed over, as qmail-scanner did. */
static void
take_line(struct work *w, char const *s, size_t n)
{
	char const *why, *warning;
	struct rule r;

	w->number++;
	switch (rule_read(s, n, &w->line, &r, &why, &warning)) {
	case 0:
		return;
	case 1:
		if (warning)
			say(w, "warning", warning);
		take_rule(w, &r);
		return;
	}
	if (!why)
		die_memory();
	if (!strncmp(why, "not three", 9)) {
		say(w, "warning", "passed over: not three columns with tabs "
		    "between them");
		return;
	}
	w->bad++;
	say(w, "fatal", why);
}

static void
read_file(char const *file, stralloc *s)
{
	struct stat st;
	int fd = openc_read(file);

	if (fd == -1 || fstat(fd, &st) == -1)
		strerr_diefu2sys(EXIT_TEMP, "open ", file);
	if (st.st_size > FILE_MOST)
		strerr_dief2x(EXIT_PERM, file, ": too large");
	if (!slurp(s, fd))
		strerr_diefu2sys(EXIT_TEMP, "read ", file);
	fd_close(fd);
}

static void
each_line(struct work *w, stralloc const *text)
{
	char const *s = text->s, *end = text->s + text->len, *lf;

	while (s < end) {
		lf = memchr(s, '\n', (size_t)(end - s));
		if (!lf)
			lf = end;
		take_line(w, s, (size_t)(lf - s));
		s = lf + 1;
	}
}

static void
compile(char const *file, char const *cdb, int any_size)
{
	struct ruleset_maker maker = RULESET_MAKER_ZERO;
	struct work w = { file, cdb ? &maker : 0, any_size, STRALLOC_ZERO, 0,
	    0, 0 };
	stralloc text = STRALLOC_ZERO;
	char fmt[UINT64_FMT];

	read_file(file, &text);
	if (cdb && ruleset_create(&maker, cdb) == -1)
		strerr_diefu3sys(EXIT_TEMP, "write ", cdb, ".tmp");
	each_line(&w, &text);
	if (w.bad) {
		if (cdb)
			ruleset_abort(&maker);
		strerr_dief2x(EXIT_PERM, file,
		    cdb ? " has mistakes: the old rules stay in force" :
		    " has mistakes");
	}
	if (cdb && ruleset_commit(&maker) == -1)
		strerr_diefu2sys(EXIT_TEMP, "write ", cdb);
	fmt[uint64_fmt(fmt, w.rules)] = 0;
	strerr_warni4x(file, ": ", fmt, " rules");
}

/* Compiles the rules of scanrules(5) for scanq, after testing each.
 *
 * Runs as: whoever may write the table
 * Reads:   rules/quarantine-attachments.txt, or the file named
 * Writes:  rules/scan.cdb, at one stroke
 * Trusts:  the administrator's file, but not that it has no mistakes
 * Trusted by: scanq
 */
int
main(int argc, char const *const *argv)
{
	subgetopt l = SUBGETOPT_ZERO;
	stralloc text = STRALLOC_ZERO;
	int test = 0, any_size = 0, import = 0, c;
	char const *file = "rules/quarantine-attachments.txt";
	char const *cdb = "rules/scan.cdb";

	while ((c = subgetopt_r(argc, argv, "ins", &l)) != -1) {
		switch (c) {
		case 'i': any_size = 1; break;
		case 'n': test = 1; break;
		case 's': import = 1; break;
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	}
	argc -= l.ind;
	argv += l.ind;
	if (argc > 2 || (import && argc != 1) || (test && argc > 1))
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (import) {
		read_file(argv[0], &text);
		return simcontrol_import(argv[0], text.s, text.len) == 1 ?
		    EXIT_DONE : EXIT_TEMP;
	}
	if (argc < 2 && !(test && argc == 1) && home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	if (argc > 0)
		file = argv[0];
	if (argc > 1)
		cdb = argv[1];
	compile(file, test ? 0 : cdb, any_size);
	return EXIT_DONE;
}
