#include "users/import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/mailbox.h"
#include "users/domainlist.h"
#include "users/vdomain.h"
#include "users/vtool.h"

enum { DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct work {
	char const *domain;
	char const *path;	/* of the source, for messages */
	int from;		/* the same, open */
	struct vdomain d;	/* ours; dry: d.dir may be -1 */
	struct record record;	/* lines of vpasswd that were carried over */
	stralloc source;	/* vpasswd of the source */
	stralloc tops;		/* names of the users' directories, NUL each */
	char **line;		/* of our vpasswd, sorted by name */
	size_t lines, room;
	unsigned long added;
};

static void
memory(int good)
{
	if (!good)
		import_die("go on:", "out of memory");
}

/* Where the path of a user of vpopmail leads below the domain's directory. */
static char const *
below(struct work const *w, struct vpasswd const *p)
{
	char mark[160];
	char const *s;
	size_t n = snprintf(mark, sizeof mark, "/domains/%s/", w->domain);

	s = strstr(p->dir, mark);
	if (s)
		s += n;
	else if (!strncmp(p->dir, w->path, strlen(w->path)) &&
	    p->dir[strlen(w->path)] == '/')
		s = p->dir + strlen(w->path) + 1;
	else
		s = p->name;
	if (!*s || *s == '.' || *s == '/' || strstr(s, "..") ||
	    strstr(s, "//") || strlen(s) > 200)
		return 0;
	return s;
}

static int
by_name(void const *a, void const *b)
{
	char const *s = *(char *const *)a, *t = *(char *const *)b;
	size_t n = strcspn(s, ":"), m = strcspn(t, ":");
	int r = memcmp(s, t, n < m ? n : m);

	return r ? r : (n > m) - (n < m);
}

static void
put_line(struct work *w, char const *s, size_t n)
{
	char *copy = malloc(n + 1);

	memory(copy != 0);
	memcpy(copy, s, n);
	copy[n] = 0;
	if (w->lines == w->room) {
		w->room = 2 * w->room + 64;
		w->line = realloc(w->line, w->room * sizeof *w->line);
		memory(w->line != 0);
	}
	w->line[w->lines++] = copy;
}

/* Our line of that name among the first n, which are sorted; 0: none. */
static char **
our_line(struct work const *w, char const *name, size_t n)
{
	return bsearch(&name, w->line, n, sizeof *w->line, by_name);
}

/* The source's line as ours would be.  1, or 0: said why not. */
static int
convert(struct work const *w, char const *line, size_t n,
    unsigned long number, stralloc *out)
{
	static struct vpasswd p = VPASSWD_ZERO;
	static stralloc dir = STRALLOC_ZERO;
	char where[32];
	char const *rel, *bad = 0;

	snprintf(where, sizeof where, "%lu", number);
	rel = 0;
	if (vpasswd_parse(line, n, &p) != 1)
		bad = "not name:hash:uid:flags:comment:directory:quota";
	else if (!mailbox_name_ok(p.name, strlen(p.name)))
		bad = "not a user name";
	else if (!(rel = below(w, &p)))
		bad = "a directory outside of the domain's";
	if (bad) {
		import_miss(w->path, "/vpasswd: line ", where, ": ", bad);
		return 0;
	}
	dir.len = out->len = 0;
	memory(stralloc_cats(&dir, w->d.path.s) &&
	    stralloc_append(&dir, '/') && stralloc_cats(&dir, rel) &&
	    stralloc_0(&dir));
	p.dir = dir.s;
	if (vpasswd_format(out, &p) != 1)
		return 0;
	out->len--;
	return 1;
}

/* Is the user to have the mail of the source?  own: lines of ours that are
 * sorted.
 */
static int
one_user(struct work *w, stralloc const *new, size_t own)
{
	size_t n = vpasswd_name(new->s, new->len);
	char **line, name[300];

	memcpy(name, new->s, n);
	memcpy(name + n, ":", 2);
	line = our_line(w, name, own);
	if (!line && record_begins(&w->record, name, n + 1)) {
		name[n] = 0;
		import_kept(name, "@", w->domain, ": was removed here");
		return 0;
	}
	if (line && strlen(*line) == new->len &&
	    !memcmp(*line, new->s, new->len)) {
		record_add(&w->record, new->s, new->len);
		return 1;
	}
	if (line && !record_has(&w->record, *line, strlen(*line))) {
		name[n] = 0;
		if (!record_has(&w->record, new->s, new->len))
			import_kept(name, "@", w->domain,
			    ": is here already, and different");
		return 1;
	}
	if (line) {
		free(*line);
		*line = strndup(new->s, new->len);
		memory(*line != 0);
	} else
		put_line(w, new->s, new->len);
	record_add(&w->record, new->s, new->len);
	w->added++;
	return 1;
}

static int
walk(int at, char const *path, struct role const *owner)
{
	char part[256];
	int next, fd = dup(at);
	size_t n;

	for (; fd != -1 && *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		memcpy(part, path, n);
		part[n] = 0;
		if (owner && import_directory(fd, part, owner) == -1)
			return -1;
		next = openat(fd, part, DIRECTORY);
		close(fd);
		fd = next;
	}
	return fd;
}

static void
small(struct work *w, int from, char const *dir, int to, char const *name)
{
	stralloc text = STRALLOC_ZERO, new = STRALLOC_ZERO, path =
	    STRALLOC_ZERO;

	memory(stralloc_cats(&path, w->d.path.s) &&
	    stralloc_append(&path, '/') && stralloc_cats(&path, dir) &&
	    (!*dir || stralloc_append(&path, '/')) &&
	    stralloc_cats(&path, name) && stralloc_0(&path));
	if (import_slurp_at(from, name, path.s, &text) == 1) {
		if (text.len > VDOMAIN_FILE)
			import_miss(path.s, ": larger than 1 MiB");
		else {
			import_instructions(&text, &new, path.s);
			if (import_file(to, name, path.s, &new, &w->d.vmail,
			    0600))
				import_done(path.s);
		}
	}
	stralloc_free(&text);
	stralloc_free(&new);
	stralloc_free(&path);
}

static void
vacation(struct work *w, int from, char const *rel, int to)
{
	char dir[300];
	int in = openat(from, "vacation", DIRECTORY);
	int out = -1;

	if (in == -1)
		return;
	if (!import.dry)
		out = walk(to, "vacation", &w->d.vmail);
	snprintf(dir, sizeof dir, "%s/vacation", rel);
	small(w, in, dir, out, "message");
	close(in);
	fd_close(out);
}

static void
mail_of(struct work *w, struct vpasswd const *p)
{
	char const *rel = below(w, p);
	struct role const *owner = import.dry ? 0 : &w->d.vmail;
	int in = walk(w->from, rel, 0), out, maildir, to;
	char address[200], path[400];

	snprintf(address, sizeof address, "%s@%s", p->name, w->domain);
	out = walk(w->d.dir, rel, owner);
	to = out == -1 ? -1 : walk(out, "Maildir", owner);
	if (to == -1 && !import.dry)
		import_die("make the mailbox of", address);
	snprintf(path, sizeof path, "%s/%s/Maildir", w->path, rel);
	maildir = in == -1 ? -1 : openat(in, "Maildir", DIRECTORY);
	if (maildir == -1)
		import_trouble(path);
	else
		import_mail(maildir, path, to, address, &w->d.vmail);
	if (in != -1) {
		small(w, in, rel, out, ".qmail");
		vacation(w, in, rel, out);
	}
	fd_close(in);
	fd_close(out);
	fd_close(maildir);
	fd_close(to);
}

/* Calls f for each line of the source that names a user. */
static void
users(struct work *w, void (*f)(struct work *, stralloc *))
{
	stralloc line = STRALLOC_ZERO;
	unsigned long number = 0;
	char const *s;
	size_t pos = 0, n;

	while (vpasswd_line(w->source.s, w->source.len, &pos, &s, &n)) {
		number++;
		if (n && convert(w, s, n, number, &line))
			f(w, &line);
	}
	stralloc_free(&line);
}

static size_t own_lines;

static void
take_user(struct work *w, stralloc *line)
{
	one_user(w, line, own_lines);
}

/* Only into mailboxes that are here now. */
static void
take_mail(struct work *w, stralloc *line)
{
	static struct vpasswd p = VPASSWD_ZERO;
	char **ours;

	if (vpasswd_parse(line->s, line->len, &p) != 1)
		return;
	ours = our_line(w, p.name, w->lines);
	memory(stralloc_cats(&w->tops, below(w, &p)) &&
	    stralloc_0(&w->tops));
	if (ours)
		mail_of(w, &p);
}

static void
take_vpasswd(struct work *w)
{
	stralloc text = STRALLOC_ZERO;
	char number[32];
	char const *s;
	size_t pos = 0, n, i;

	while (vpasswd_line(w->d.vpasswd.s, w->d.vpasswd.len, &pos, &s, &n))
		if (n)
			put_line(w, s, n);
	if (w->lines)
		qsort(w->line, w->lines, sizeof *w->line, by_name);
	own_lines = w->lines;
	users(w, take_user);
	if (!w->added)
		return;
	qsort(w->line, w->lines, sizeof *w->line, by_name);
	for (i = 0; i < w->lines; i++)
		memory(stralloc_cats(&text, w->line[i]) &&
		    stralloc_append(&text, '\n'));
	if (!import.dry && vdomain_put(&w->d, &text) == -1)
		import_die("write the users of", w->domain);
	snprintf(number, sizeof number, "%lu", w->added);
	import_done(w->domain, ": users: ", number);
	stralloc_free(&text);
}

static int
is_top(struct work const *w, char const *name)
{
	size_t i, n = strlen(name);

	for (i = 0; i < w->tops.len; i += strlen(w->tops.s + i) + 1)
		if (!strncmp(w->tops.s + i, name, n) &&
		    (!w->tops.s[i+n] || w->tops.s[i+n] == '/'))
			return 1;
	return 0;
}

/* The domain's own files, and what is nothing that we know. */
static void
others(struct work *w, char const *name)
{
	static char const *const known[] = { ".", "..", "vpasswd",
		"vpasswd.cdb", ".vpasswd.lock", "vpasswd.lock", ".dir-control",
		"dir-control", "lastauth", ".qmail-default" };
	static char const *const files[] = { LIMITS_FILE, ".no-user.msg",
		".over-quota.msg", ".quotawarn.msg" };
	size_t i;

	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i]))
			return;
	for (i = 0; i < sizeof files / sizeof *files; i++)
		if (!strcmp(name, files[i]))
			break;
	if (i < sizeof files / sizeof *files ||
	    (!strncmp(name, ".qmail-", 7) && !strchr(name + 7, '.')))
		small(w, w->from, "", w->d.dir, name);
	else if (!is_top(w, name) && (strlen(name) > 1 ||
	    *name == '.'))		/* vpopmail's hash directories */
		import_miss(w->path, "/", name, ": nobody's mailbox");
}

static void
all_others(struct work *w)
{
	int fd = openat(w->from, ".", DIRECTORY);
	DIR *dir = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir)) != 0)
		others(w, e->d_name);
	if (dir)
		closedir(dir);
}

/* .qmail-default decides about unknown names; where there is none, qmail
 * refused them.
 */
static void
policy(struct work *w)
{
	stralloc text = STRALLOC_ZERO, new = STRALLOC_ZERO;
	char path[200];

	snprintf(path, sizeof path, "domains/%s/.qmail-default", w->domain);
	if (import_slurp_at(w->from, ".qmail-default", path, &text) == 1)
		import_instructions(&text, &new, path);
	if (!new.len)
		vtool_policy(&w->d, "bounce-no-mailbox", &new);
	if (!import.dry && vdomain_write(&w->d, ".qmail-default", new.s,
	    new.len) == -1)
		import_die("write", path);
	stralloc_free(&text);
	stralloc_free(&new);
}

static void
new_domain(struct work *w)
{
	struct vdomain fresh = VDOMAIN_ZERO;
	stralloc empty = STRALLOC_ZERO;
	char path[200];
	int r;

	w->d = fresh;
	snprintf(path, sizeof path, "domains/%s", w->domain);
	if (import.dry) {
		memory(stralloc_cats(&w->d.name, w->domain) &&
		    stralloc_0(&w->d.name) &&
		    stralloc_cats(&w->d.path, import.home) &&
		    stralloc_append(&w->d.path, '/') &&
		    stralloc_cats(&w->d.path, path) &&
		    stralloc_0(&w->d.path));
		import_done("domain ", w->domain);
		return;
	}
	r = vdomain_adopt(&w->d, w->domain);	/* a run that was killed */
	if (r == 0) {
		w->d = fresh;
		r = vdomain_create(&w->d, w->domain);
		if (r == 1)
			policy(w);
		if (r == 1)
			r = vdomain_put(&w->d, &empty);
		if (r == 1)
			r = vdomain_publish(&w->d);
	}
	if (r != 1)
		import_die("make the domain", w->domain);
	import_done("domain ", w->domain);
}

/* Once, also where the last run was killed before or in it. */
static void
name_domain(struct work *w)
{
	struct record r;

	record_open(&r, "domains");
	if (!record_has(&r, w->domain, strlen(w->domain))) {
		if (!import.dry && domainlist_add(&w->d, w->domain) == -1)
			import_die("name the domain", w->domain);
		record_add(&r, w->domain, strlen(w->domain));
	}
	record_close(&r);
}

static void
finish(struct work *w)
{
	size_t i;

	if (!import.dry)
		vdomain_sweep(&w->d);
	if (!import.dry && (limits_read(w->d.dir, &w->d.limits) == -1 ||
	    vdomain_usage(&w->d) == -1 || vdomain_tables(&w->d) == -1))
		import_die("write the tables of", w->domain);
	for (i = 0; i < w->lines; i++)
		free(w->line[i]);
	free(w->line);
	stralloc_free(&w->source);
	stralloc_free(&w->tops);
	vdomain_close(&w->d);
	close(w->from);
}

void
import_domain(char const *domain, char const *dir)
{
	static struct work const none = { .d = VDOMAIN_ZERO };
	struct work w = none;
	char name[200];
	int r = vdomain_open(&w.d, domain);

	w.domain = domain;
	w.path = dir;
	w.from = import_open(dir, O_DIRECTORY);
	if (r == -1)
		import_die("open the domain", domain);
	if (w.from == -1) {
		import_trouble(dir);
		return;
	}
	if (r == 1 && strcmp(w.d.name.s, domain)) {
		import_miss(domain, ": is another name of ", w.d.name.s,
		    " here");
		return;
	}
	if (r == 0)
		new_domain(&w);
	name_domain(&w);
	snprintf(name, sizeof name, "vpasswd.%s", domain);
	record_open(&w.record, name);
	if (import_slurp_at(w.from, "vpasswd", dir, &w.source) == 0)
		import_miss(dir, ": no vpasswd: are the users in a database?");
	take_vpasswd(&w);
	record_close(&w.record);
	users(&w, take_mail);
	all_others(&w);
	finish(&w);
}
