/* rulesmake compiles a file of access rules into a cdb, which listen,
 * rulesrun and rulescheck consult, and tcpserver(1) too.
 *
 * Runs as: the administrator.  Reads: rules on standard input, or a file.
 * Writes: the cdb, at one stroke.  Trusts: the rules.
 * Trusted by: whatever runs behind the rules.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/buffer.h>
#include <skalibs/djbunix.h>
#include <skalibs/sgetopt.h>
#include <skalibs/skamisc.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/cdbfile.h"
#include "lib/exitcode.h"
#include "lib/log.h"
#include "rules/keyset.h"
#include "rules/rule.h"
#include "rules/ruleline.h"

#define USAGE "rulesmake [-tq] [-f rules]... cdb [tmp] < rules"

enum {
	MOST_ERRORS = 20,	/* then the file is surely another one */
	MOST_WARNINGS = 100,
	MOST_FILES = 8
};

struct compiler {
	char const *name;	/* of the rules */
	char const *cdb;	/* 0: only a test */
	struct cdbmaker maker;
	struct keyset seen;
	struct ruleline rule;
	stralloc record;
	unsigned char index[RULE_INDEX];
	uint64_t now;
	unsigned int line, errors, warnings, rules;
	int quiet;
};

/* Leaves no temporary file behind. */
static void
die_temp(struct compiler *c, char const *verb, char const *object)
{
	if (c->cdb)
		cdbmaker_abort(&c->maker);
	strerr_diefusys(EXIT_TEMP, verb, object);
}

static void
die_perm(struct compiler *c, char const *text)
{
	if (c->cdb)
		cdbmaker_abort(&c->maker);
	strerr_dief(EXIT_PERM, text, c->name,
	    c->cdb ? "; left as it was: " : "", c->cdb ? c->cdb : "");
}

static void
say(struct compiler *c, char const *level, char const *text,
    char const *s, size_t n)
{
	stralloc shown = STRALLOC_ZERO;
	char line[UINT_FMT];

	line[uint_fmt(line, c->line)] = 0;
	if (log_escape(&shown, s, n > 100 ? 100 : n) == -1 ||
	    !stralloc_0(&shown))
		die_temp(c, "report line ", line);
	strerr_warn(PROG, ": ", level, ": ", c->name, ": line ", line, ": ",
	    text, ": ", shown.s);
	stralloc_free(&shown);
}

static void
warn(struct compiler *c, char const *text, char const *s, size_t n)
{
	if (c->quiet || ++c->warnings > MOST_WARNINGS)
		return;
	say(c, "warning", text, s, n);
	if (c->warnings == MOST_WARNINGS)
		strerr_warnw("further warnings are not shown");
}

static void
warn_repeated(struct compiler *c, unsigned int first, char const *s, size_t n)
{
	char text[64];

	snprintf(text, sizeof text, "repeats line %u, which decides", first);
	warn(c, text, s, n);
}

static void
note_length(struct compiler *c, struct ruleline const *r)
{
	unsigned char *lengths = c->index +
	    (r->family == 4 ? RULE_INDEX4 : RULE_INDEX6);

	if (r->family)
		lengths[r->bits / 8] |= 1 << r->bits % 8;
	if (r->until)
		c->index[0] |= 1;
}

/* One key of the current rule.  n counts the NUL behind it: a part of the key
 * of a timed rule.  1 new, 0 repeated */
static int
add_key(struct compiler *c, char const *key, size_t n, unsigned int *first)
{
	struct ruleline const *r = &c->rule;
	int fresh;

	if (!r->until)
		n--;
	fresh = keyset_add(&c->seen, key, n, c->line, first);
	if (fresh == -1)
		die_temp(c, "remember ", c->name);
	if (c->cdb && cdbmaker_add(&c->maker, key, n, c->record.s,
	    c->record.len) == -1)
		die_temp(c, "write ", c->cdb);
	return fresh;
}

static void
add_rule(struct compiler *c, char const *s, size_t n)
{
	struct ruleline const *r = &c->rule;
	unsigned int first = 0;
	char until[UINT64_FMT];
	size_t i, len;
	int fresh = 1;

	c->record.len = 0;
	if (r->until) {
		until[uint64_fmt(until, r->until)] = 0;
		if (!stralloc_cats(&c->record, "T") ||
		    !stralloc_cats(&c->record, until) ||
		    !stralloc_0(&c->record))
			die_temp(c, "compile ", c->name);
	}
	if (!stralloc_catb(&c->record, r->data.s, r->data.len))
		die_temp(c, "compile ", c->name);
	note_length(c, r);
	c->rules++;
	for (i = 0; i < r->keys.len; i += len) {
		len = strlen(r->keys.s + i) + 1;
		fresh &= add_key(c, r->keys.s + i, len, &first);
	}
	if (!fresh)
		warn_repeated(c, first, s, n);
}

static void
do_line(struct compiler *c, char const *s, size_t n)
{
	int r = ruleline_parse(s, n, &c->rule);

	if (r == -1 && !c->rule.problem)
		die_temp(c, "compile ", c->name);
	if (r == -1) {
		say(c, "error", c->rule.problem, s, n);
		if (++c->errors == MOST_ERRORS)
			die_perm(c, "too many errors in ");
	}
	if (r != 1)
		return;
	if (c->rule.problem)
		warn(c, c->rule.problem, s, n);
	if (!c->rule.until || c->rule.until > c->now)
		add_rule(c, s, n);
}

static void
read_rules(struct compiler *c, int fd)
{
	static char room[65536];
	buffer in = BUFFER_INIT(&buffer_read, fd, room, sizeof room);
	stralloc line = STRALLOC_ZERO;
	int r;

	c->line = 0;
	do {
		line.len = 0;
		c->line++;
		r = skagetlnmaxsep(&in, &line, RULELINE_MAX, "\n", 1);
		if (r == -1 && errno == EMSGSIZE) {
			say(c, "error", "line too long", line.s, line.len);
			die_perm(c, "unable to compile ");
		}
		if (r == -1 && errno != EPIPE)	/* EPIPE: no LF at the end */
			die_temp(c, "read ", c->name);
		if (r == 1)
			line.len--;
		do_line(c, line.s, line.len);
	} while (r == 1);
	stralloc_free(&line);
}

static void
finish(struct compiler *c)
{
	static unsigned char const nothing[RULE_INDEX];

	if (c->errors)
		die_perm(c, "errors in ");
	if (!c->cdb)
		return;
	if (memcmp(c->index, nothing, RULE_INDEX) != 0 &&
	    cdbmaker_add(&c->maker, "", 1, (char *)c->index,
	    RULE_INDEX) == -1)
		die_temp(c, "write ", c->cdb);
	if (cdbmaker_commit(&c->maker) == -1)
		die_temp(c, "write ", c->cdb);
}

static void
read_file(struct compiler *c, char const *file)
{
	int fd = open_readb(file);

	c->name = file;
	if (fd == -1)
		die_temp(c, "open ", file);
	read_rules(c, fd);
	fd_close(fd);
}

/* Who reads files and replaces what others read does so alone: else a file
 * read before a change could win over one read after it.  Held until exit.
 */
static void
lock(char const *cdb)
{
	char const *slash = strrchr(cdb, '/');
	stralloc dir = STRALLOC_ZERO;
	int fd;

	if (!stralloc_copyb(&dir, slash ? cdb : "./",
	    slash ? (size_t)(slash - cdb) + 1 : 2) || !stralloc_0(&dir))
		strerr_dief1x(EXIT_TEMP, "out of memory");
	fd = open(dir.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || flock(fd, LOCK_EX) == -1)
		strerr_diefusys(EXIT_TEMP, "lock ", dir.s);
	stralloc_free(&dir);
}

int
main(int argc, char const *const *argv)
{
	static struct compiler c = {
		.name = "standard input", .maker = CDBMAKER_ZERO,
		.seen = KEYSET_ZERO, .rule = RULELINE_ZERO,
		.record = STRALLOC_ZERO
	};
	subgetopt l = SUBGETOPT_ZERO;
	char const *file[MOST_FILES];
	size_t i, files = 0;
	int opt, test = 0;

	PROG = "rulesmake";
	while ((opt = subgetopt_r(argc, argv, "tqf:", &l)) != -1)
		switch (opt) {
		case 't': test = 1; break;
		case 'q': c.quiet = 1; break;
		case 'f':
			if (files < MOST_FILES) {
				file[files++] = l.arg;
				break;
			} /* fall through */
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	argc -= l.ind;
	argv += l.ind;
	if (argc > 2 || (argc < 1 && !test))
		strerr_dieusage(EXIT_USAGE, USAGE);
	c.now = time(0);
	c.cdb = test ? 0 : argv[0];
	if (c.cdb && files)
		lock(c.cdb);
	if (c.cdb && cdbmaker_open(&c.maker, c.cdb, 0644) == -1)
		strerr_diefusys(EXIT_TEMP, "write ", c.cdb);
	for (i = 0; i < files; i++)
		read_file(&c, file[i]);
	if (!files)
		read_rules(&c, 0);
	finish(&c);
	return 0;
}
