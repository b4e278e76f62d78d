/* valias: aliases and forwards of a virtual domain.
 *
 * An alias is the file .qmail-NAME in the domain's directory: one line for
 * each address that gets what comes for the name.
 *
 * Runs as: root.  Reads: users/cdb, the domain's .qmail files.  Writes: those
 * files, users/mailbox/DOMAIN.cdb.  Trusts: its caller.  Trusted by: the
 * administrator.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/mailbox.h"
#include "users/vtool.h"

#define USAGE \
	"valias [-s | -n | -d | -i line ... | -r line ...] name@domain | domain"

enum { LINES = 1000, LONGEST = 1000 };

struct options {
	int action;		/* one of "snidr" */
	char const *line[LINES];
	unsigned int lines;
	char *name, *domain;	/* name 0: a domain alone */
};

static void
options(int argc, char *const *argv, struct options *o)
{
	int c;

	o->action = 's';
	while ((c = getopt(argc, argv, "sndi:r:")) != -1) {
		if (c == '?' || (o->lines && o->action != c))
			strerr_dieusage(EXIT_USAGE, USAGE);
		o->action = c;
		if (!optarg)
			continue;
		if (o->lines == LINES)
			strerr_dief(EXIT_PERM, "more than 1000 lines");
		o->line[o->lines++] = optarg;
		optarg = 0;
	}
	if (argc - optind != 1)
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (strchr(argv[optind], '@'))
		o->name = vtool_address(argv[optind], &o->domain);
	else if (o->action == 's' || o->action == 'n')
		o->domain = vtool_domain(argv[optind]);
	else
		strerr_dief(EXIT_PERM, "not name@domain: ", argv[optind]);
	if (o->name && strcmp(o->name, "default") == 0)
		strerr_dief(EXIT_PERM, "that is the catch-all: see vcatchall");
}

/* .qmail-NAME, dots turned into colons. */
static char *
file_name(char const *name)
{
	stralloc out = STRALLOC_ZERO;
	size_t i;

	if (!stralloc_cats(&out, ".qmail-") || !stralloc_cats(&out, name) ||
	    !stralloc_0(&out))
		strerr_diefusys(EXIT_TEMP, "go on");
	for (i = 7; i < out.len; i++)
		if (out.s[i] == '.')
			out.s[i] = ':';
	return out.s;
}

/* The text of the file; 0: there is none. */
static int
read_file(struct vdomain const *d, char const *file, stralloc *text)
{
	int r = vdomain_read(d, file, text);

	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "read ", d->path.s, "/", file);
	if (r == 1 && text->len && text->s[text->len - 1] != '\n' &&
	    !stralloc_append(text, '\n'))
		strerr_diefusys(EXIT_TEMP, "go on");
	return r;
}

static int
has_line(stralloc const *text, char const *want)
{
	size_t pos = 0, n, len = strlen(want);
	char const *line;

	while (vpasswd_line(text->s, text->len, &pos, &line, &n))
		if (n == len && !memcmp(line, want, n))
			return 1;
	return 0;
}

/* A line as it stands in the file: an address gets its "&", a name alone is
 * one of this domain.
 */
static char *
line_of(struct options const *o, char const *s)
{
	stralloc out = STRALLOC_ZERO;
	int address = *s && !strchr("&|/.", *s);

	if (!*s || strchr("#+ \t\r\n", *s) || strlen(s) > LONGEST ||
	    s[strcspn(s, "\r\n")] || (*s == '&' && !s[1]))
		strerr_dief(EXIT_PERM, "not an alias line: ", s);
	if (address && s[strcspn(s, " \t")])
		strerr_dief(EXIT_PERM, "not an address: ", s);
	if ((address && !stralloc_append(&out, '&')) ||
	    !stralloc_cats(&out, s) ||
	    (address && !strchr(s, '@') && (!stralloc_append(&out, '@') ||
	    !stralloc_cats(&out, o->domain))) || !stralloc_0(&out))
		strerr_diefusys(EXIT_TEMP, "go on");
	return out.s;
}

static int
is_forward(struct vdomain const *d, stralloc const *text)
{
	size_t pos = 0, n, len = d->name.len - 1;
	char const *line;

	while (vpasswd_line(text->s, text->len, &pos, &line, &n))
		if (n && *line == '&' && (n <= len + 1 ||
		    line[n - len - 1] != '@' ||
		    memcmp(line + n - len, d->name.s, len)))
			return 1;
	return 0;
}

/* Calls each for every alias file, in the order of the directory. */
static void
for_all(struct vdomain const *d,
    void (*each)(struct vdomain const *, char const *, stralloc const *,
    void *), void *arg)
{
	int fd = openat(d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? 0 : fdopendir(fd);
	stralloc text = STRALLOC_ZERO;
	struct dirent *e;

	if (!dir)
		strerr_diefusys(EXIT_TEMP, "read ", d->path.s);
	while ((e = readdir(dir)) != 0) {
		if (strncmp(e->d_name, ".qmail-", 7) != 0 || !e->d_name[7] ||
		    strcmp(e->d_name, ".qmail-default") == 0 ||
		    strchr(e->d_name + 7, '.'))
			continue;
		text.len = 0;
		if (read_file(d, e->d_name, &text) == 1)
			each(d, e->d_name + 7, &text, arg);
	}
	closedir(dir);
	stralloc_free(&text);
}

struct counts {
	long long aliases, forwards;
};

static void
count(struct vdomain const *d, char const *name, stralloc const *text,
    void *arg)
{
	struct counts *c = arg;

	(void)name;
	if (is_forward(d, text))
		c->forwards++;
	else
		c->aliases++;
}

static void
keep_limits(struct vdomain const *d, stralloc const *text)
{
	struct counts c = { 0, 0 };
	struct limits const *l = &d->limits;

	if (l->maxaliases < 0 && l->maxforwards < 0)
		return;
	for_all(d, count, &c);
	if (is_forward(d, text)) {
		if (l->maxforwards >= 0 && c.forwards >= l->maxforwards)
			strerr_dief(EXIT_PERM, d->name.s,
			    " has as many forwards as it may");
	} else if (l->maxaliases >= 0 && c.aliases >= l->maxaliases)
		strerr_dief(EXIT_PERM, d->name.s,
		    " has as many aliases as it may");
}

static void
save(struct vdomain *d, char const *file, stralloc const *text)
{
	int r = vdomain_begin(d, file);

	if (r == 1)
		r = text->len ? vdomain_write(d, file, text->s, text->len) :
		    vdomain_unlink(d, file);
	if (r == 1)
		r = vdomain_tables(d);
	if (vdomain_end(d, file, r) == -1)
		strerr_diefusys(EXIT_TEMP, "write ", d->path.s, "/", file);
}

static void
insert(struct vdomain *d, struct options const *o)
{
	char *file = file_name(o->name), *line;
	struct vpasswd p = VPASSWD_ZERO;
	stralloc text = STRALLOC_ZERO;
	int old = read_file(d, file, &text);
	unsigned int i;

	for (i = 0; i < o->lines; i++) {
		line = line_of(o, o->line[i]);
		if (has_line(&text, line))
			strerr_dief(EXIT_PERM, "it is there already: ", line);
		if (!stralloc_cats(&text, line) ||
		    !stralloc_append(&text, '\n'))
			strerr_diefusys(EXIT_TEMP, "go on");
	}
	if (text.len > VDOMAIN_FILE)
		strerr_dief(EXIT_PERM, "more than 1 MiB of lines");
	if (!old)
		keep_limits(d, &text);
	if (!old && vdomain_user(d, o->name, &p) == 1)
		strerr_warnw(o->name, "@", d->name.s, " is a mailbox too: "
		    "mail goes where the alias says, not there");
	save(d, file, &text);
}

static void
take_out(stralloc *text, char const *want)
{
	stralloc out = STRALLOC_ZERO;
	size_t pos = 0, n, len = strlen(want);
	char const *line;

	while (vpasswd_line(text->s, text->len, &pos, &line, &n))
		if ((n != len || memcmp(line, want, n)) &&
		    (!stralloc_catb(&out, line, n) ||
		    !stralloc_append(&out, '\n')))
			strerr_diefusys(EXIT_TEMP, "go on");
	stralloc_free(text);
	*text = out;
}

static void
delete(struct vdomain *d, struct options const *o)
{
	char *file = file_name(o->name), *line;
	stralloc text = STRALLOC_ZERO;
	unsigned int i;

	if (read_file(d, file, &text) == 0)
		strerr_dief(EXIT_PERM, "no such alias: ", o->name, "@",
		    d->name.s);
	if (o->action == 'd')
		text.len = 0;
	for (i = 0; i < o->lines; i++) {
		line = line_of(o, o->line[i]);
		if (!has_line(&text, line))
			strerr_dief(EXIT_PERM, "no such line: ", line);
		take_out(&text, line);
	}
	save(d, file, &text);
}

static void
show(struct vdomain const *d, char const *file, stralloc const *text,
    void *arg)
{
	struct options const *o = arg;
	stralloc name = STRALLOC_ZERO, out = STRALLOC_ZERO;
	size_t pos = 0, n;
	char const *line;

	if (!stralloc_cats(&name, file))
		strerr_diefusys(EXIT_TEMP, "go on");
	for (n = 0; n < name.len; n++)
		if (name.s[n] == ':')
			name.s[n] = '.';
	if (!stralloc_append(&name, '@') ||
	    !stralloc_catb(&name, d->name.s, d->name.len))
		strerr_diefusys(EXIT_TEMP, "go on");
	if (o->action == 'n')
		vtool_say(name.s, "");
	while (o->action == 's' &&
	    vpasswd_line(text->s, text->len, &pos, &line, &n)) {
		out.len = 0;
		if (!stralloc_cats(&out, " -> ") ||
		    !stralloc_catb(&out, line, n) || !stralloc_0(&out))
			strerr_diefusys(EXIT_TEMP, "go on");
		vtool_say(name.s, out.s);
	}
	stralloc_free(&name);
	stralloc_free(&out);
}

static void
list(struct vdomain *d, struct options *o)
{
	stralloc text = STRALLOC_ZERO;
	char *file;

	if (!o->name) {
		for_all(d, show, o);
		return;
	}
	file = file_name(o->name);
	if (read_file(d, file, &text) == 0)
		strerr_dief(EXIT_PERM, "no such alias: ", o->name, "@",
		    d->name.s);
	show(d, file + 7, &text, o);
}

int
main(int argc, char *const *argv)
{
	static struct options o;
	struct vdomain d = VDOMAIN_ZERO;

	vtool_begin("valias");
	options(argc, argv, &o);
	vtool_lock();
	if (o.action == 's' || o.action == 'n') {
		vtool_open(&d, o.domain);
		list(&d, &o);
		return 0;
	}
	vtool_change(&d, o.domain);
	if (o.action == 'i')
		insert(&d, &o);
	else
		delete(&d, &o);
	return 0;
}
