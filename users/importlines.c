#include "users/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/vpasswd.h"
#include "users/textfile.h"

static int
has(stralloc const *text, char const *want, size_t len)
{
	char const *line;
	size_t pos = 0, n;

	while (vpasswd_line(text->s, text->len, &pos, &line, &n))
		if (n == len && !strncasecmp(line, want, n))
			return 1;
	return 0;
}

static int
copy(stralloc *to, char const *s, size_t n)
{
	return stralloc_catb(to, s, n) && stralloc_append(to, '\n');
}

static void
name_of(char const *file, char *out)
{
	size_t i;

	/* its record: the path with dots for slashes */
	for (i = 0; file[i] && i < 150; i++)
		out[i] = file[i] == '/' ? '.' : file[i];
	out[i] = 0;
}

/* The lines of text that are new, appended to all; how many. */
static unsigned long
merge(stralloc const *text, stralloc *all, struct record *r,
    int (*fit)(stralloc *))
{
	stralloc own = STRALLOC_ZERO;
	unsigned long count = 0;
	char const *line;
	size_t pos = 0, n;

	while (vpasswd_line(text->s, text->len, &pos, &line, &n)) {
		while (n && strchr(" \t\r", line[n-1]))
			n--;
		if (!n || *line == '#' || memchr(line, 0, n))
			continue;
		if (!stralloc_copyb(&own, line, n))
			import_die("go on:", "out of memory");
		if (fit && !fit(&own))
			continue;
		if (record_has(r, own.s, own.len))
			continue;	/* is there, or taken out here since */
		record_add(r, own.s, own.len);
		if (has(all, own.s, own.len))
			continue;
		if (!copy(all, own.s, own.len))
			import_die("go on:", "out of memory");
		count++;
	}
	stralloc_free(&own);
	return count;
}

/* Passwords of smarthosts are for remote alone. */
static void
keep_secret(struct textfile_owner *o)
{
	struct role r;

	if (role_find("remote", &r) != 1)
		import_die("look up", "the role remote");
	o->gid = r.gid;
	o->mode = 0640;
}

void
import_lines(stralloc const *text, char const *file, int (*fit)(stralloc *))
{
	struct textfile_owner o = { 0, 0, 0644 };
	stralloc all = STRALLOC_ZERO;
	struct record r;
	struct stat st;
	char name[160];
	unsigned long count;

	name_of(file, name);
	record_open(&r, name);
	if (!openslurpclose(&all, file) && errno != ENOENT)
		import_die("read", file);
	if (all.len && all.s[all.len-1] != '\n' &&
	    !stralloc_append(&all, '\n'))
		import_die("read", file);
	if (stat(file, &st) == 0)
		o = (struct textfile_owner)
		    { st.st_uid, st.st_gid, st.st_mode & 0777 };
	count = merge(text, &all, &r, fit);
	if (!strcmp(file, "control/smtproutes") &&
	    all.len && memchr(all.s, '|', all.len))
		keep_secret(&o);
	if (count && !import.dry &&
	    textfile_write(file, all.s, all.len, &o) == -1)
		import_die("write", file);
	if (count)
		import_done("lines of ", file);
	record_close(&r);
	stralloc_free(&all);
}

/* The prefix at s becomes ours: its length, and *to; 0: none does. */
static size_t
old_path(char const *s, size_t n, stralloc *to)
{
	size_t q = strlen(import.qmail), v = strlen(import.vpopmail), i;
	char program[300];
	struct stat st;

	if (n > v + 9 && !memcmp(s, import.vpopmail, v) &&
	    !memcmp(s + v, "/domains/", 9)) {
		if (!stralloc_cats(to, import.home) ||
		    !stralloc_cats(to, "/domains/"))
			import_die("go on:", "out of memory");
		return v + 9;
	}
	for (i = 0; i < n && !strchr(" \t;&|'\"", s[i]); i++)
		;
	/* QMAIL/bin/NAME, and autorespond wherever it was */
	while (i && s[i-1] != '/')
		i--;
	if (!i || (memcmp(s, import.qmail, q < i ? q : i) &&
	    strncmp(s + i, "autorespond", 11)))
		return 0;
	memcpy(program, "bin/", 5);
	for (q = 0; i + q < n && q < 200 && !strchr(" \t;&|'\"", s[i+q]); q++)
		program[4+q] = s[i+q];
	program[4+q] = 0;
	if (!q || lstat(program, &st) == -1)
		return 0;
	if (!stralloc_cats(to, import.home) || !stralloc_append(to, '/') ||
	    !stralloc_cats(to, program))
		import_die("go on:", "out of memory");
	return i + q;
}

static int
starts_path(char const *s, size_t i)
{
	return s[i] == '/' && (i == 0 || strchr(" \t|&'\"=;", s[i-1]));
}

static void
one_line(char const *s, size_t n, stralloc *to, char const *where)
{
	size_t i, len, mark = to->len;

	for (i = 0; i < n; i += len) {
		len = starts_path(s, i) ? old_path(s + i, n - i, to) : 0;
		if (len)
			continue;
		len = 1;
		if (!stralloc_catb(to, s + i, 1))
			import_die("go on:", "out of memory");
	}
	if (n && *s == '|' && !memmem(to->s + mark, to->len - mark,
	    "/vdelivermail ", 14) && !memmem(to->s + mark, to->len - mark,
	    import.home, strlen(import.home)))
		import_miss(where, ": runs a program, which must be here too");
	if (!stralloc_append(to, '\n'))
		import_die("go on:", "out of memory");
}

void
import_instructions(stralloc const *from, stralloc *to, char const *where)
{
	char const *line;
	size_t pos = 0, n;

	while (vpasswd_line(from->s, from->len, &pos, &line, &n))
		one_line(line, n, to, where);
}

static int
is_same(int dir, char const *name, stralloc const *text)
{
	stralloc own = STRALLOC_ZERO;
	int r = import_slurp_at(dir, name, name, &own) == 1 &&
	    own.len == text->len && !memcmp(own.s, text->s, own.len);

	stralloc_free(&own);
	return r;
}

int
import_file(int dir, char const *name, char const *where,
    stralloc const *text, struct role const *owner, int mode)
{
	struct textfile_owner o = { owner->uid, owner->gid, mode };
	struct record r;
	struct stat st;
	int new, home;

	record_open(&r, "files");
	new = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1;
	if (!new || record_has(&r, where, strlen(where))) {
		if (!new && is_same(dir, name, text))
			record_add(&r, where, strlen(where));
		else if (!record_has(&r, where, strlen(where)))
			import_kept(where, ": is here already, and different");
		record_close(&r);
		return 0;
	}
	record_add(&r, where, strlen(where));
	if (!import.dry) {
		home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (home == -1 || fchdir(dir) == -1 ||
		    textfile_write(name, text->s, text->len, &o) == -1 ||
		    fchdir(home) == -1)
			import_die("write", where);
		close(home);
	}
	record_close(&r);
	return 1;
}
