#include "users/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>

#include "lib/vpasswd.h"

enum { NAME = 512 };

int
textfile_write(char const *file, char const *s, size_t n,
    struct textfile_owner const *o)
{
	char tmp[NAME];
	int fd, e;

	if (snprintf(tmp, sizeof tmp, "%s.tmp.%lu", file,
	    (unsigned long)getpid()) >= (int)sizeof tmp) {
		errno = ENAMETOOLONG;
		return -1;
	}
	unlink(tmp);		/* of a process killed long ago */
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return -1;
	if (allwrite(fd, s, n) == n && fchown(fd, o->uid, o->gid) != -1 &&
	    fchmod(fd, o->mode) != -1 && fsync(fd) != -1 &&
	    rename(tmp, file) != -1) {
		close(fd);
		return 1;
	}
	e = errno;
	close(fd);
	unlink(tmp);
	errno = e;
	return -1;
}

/* Whoever reads these files takes no notice of blanks at the end of a line, nor
 * of another system's carriage return.
 */
static size_t
without_blanks(char const *line, size_t n)
{
	while (n && memchr(" \t\r", line[n-1], 3))
		n--;
	return n;
}

static int
is(char const *line, size_t n, char const *s)
{
	return s && strlen(s) == n && strncasecmp(line, s, n) == 0;
}

static int
dropped(struct textfile_edit const *e, char const *line, size_t n)
{
	char const *p = e->drop_prefix;
	char const *colon = memchr(line, ':', n);

	if (is(line, n, e->drop))
		return 1;
	if (p && strlen(p) <= n && strncasecmp(line, p, strlen(p)) == 0)
		return 1;
	if (!colon || !e->drop_second)
		return 0;
	n -= ++colon - line;
	return is(colon, vpasswd_name(colon, n), e->drop_second);
}

static int
put(stralloc *out, char const *line, size_t n)
{
	return stralloc_catb(out, line, n) && stralloc_append(out, '\n');
}

/* Does the new line belong before this one? */
static int
before(struct textfile_edit const *e, char const *line, size_t n)
{
	size_t len = strlen(e->add);
	int r;

	if (!e->sorted || !n || *line == '#')
		return 0;
	if (n == 1 && *line == '.')
		return 1;
	r = strncasecmp(e->add, line, len < n ? len : n);
	return r < 0 || (r == 0 && len < n);
}

static int
edited(stralloc const *all, struct textfile_edit const *e, stralloc *out)
{
	int added = !e->add;
	char const *line;
	size_t pos = 0, n, whole;

	while (vpasswd_line(all->s, all->len, &pos, &line, &whole)) {
		n = without_blanks(line, whole);
		if (dropped(e, line, n))
			continue;
		if (!added && is(line, n, e->add))
			added = 1;
		if (!added && before(e, line, n)) {
			if (!put(out, e->add, strlen(e->add)))
				return -1;
			added = 1;
		}
		if (!put(out, line, whole))
			return -1;
	}
	if (!added && (!put(out, e->add, strlen(e->add)) ||
	    (e->sorted && !put(out, ".", 1))))
		return -1;
	return 1;
}

static int
slurp_or_empty(char const *file, stralloc *all)
{
	return openslurpclose(all, file) || errno == ENOENT ? 1 : -1;
}

int
textfile_edit(char const *file, struct textfile_edit const *e)
{
	static struct textfile_owner const root = { 0, 0, 0644 };
	stralloc all = STRALLOC_ZERO, out = STRALLOC_ZERO;
	int r = slurp_or_empty(file, &all);

	if (r == 1)
		r = edited(&all, e, &out);
	if (r == 1 && out.len == all.len &&
	    (!all.len || !memcmp(out.s, all.s, all.len)))
		r = 0;
	if (r == 1)
		r = textfile_write(file, out.s, out.len, &root);
	stralloc_free(&all);
	stralloc_free(&out);
	return r;
}

static int
old_name(char *out, char const *file)
{
	if (snprintf(out, NAME, "%s.old", file) < NAME)
		return 1;
	errno = ENAMETOOLONG;
	return -1;
}

int
textfile_keep(char const *file)
{
	char old[NAME];

	if (old_name(old, file) == -1 ||
	    (unlink(old) == -1 && errno != ENOENT))
		return -1;
	return link(file, old) == -1 && errno != ENOENT ? -1 : 1;
}

void
textfile_end(char const *file, int good)
{
	char old[NAME];

	if (old_name(old, file) == -1)
		return;
	if (!good && rename(old, file) == -1 && errno == ENOENT)
		unlink(file);
	/* two names of one file: rename leaves both */
	unlink(old);
}

int
textfile_count(char const *file)
{
	stralloc all = STRALLOC_ZERO;
	int count = slurp_or_empty(file, &all) == 1 ? 0 : -1;
	char const *line;
	size_t pos = 0, n;

	while (count != -1 &&
	    vpasswd_line(all.s, all.len, &pos, &line, &n))
		count += n && *line != '#';
	stralloc_free(&all);
	return count;
}
