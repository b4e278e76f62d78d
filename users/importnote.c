#include "users/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/textfile.h"

enum { MOST = 64 * 1048576 };

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

void
import_die(char const *what, char const *name)
{
	strerr_diefusys(EXIT_TEMP, what, " ", name);
}

/* Names of the source are anything. */
static int
printable(stralloc *out, char const *s)
{
	char hex[8];

	for (; *s; s++) {
		if (*s >= ' ' && *s <= '~') {
			if (!stralloc_append(out, *s))
				return 0;
			continue;
		}
		snprintf(hex, sizeof hex, "\\x%02x", (unsigned char)*s);
		if (!stralloc_catb(out, hex, 4))
			return 0;
	}
	return 1;
}

void
import_say(char const *what, ...)
{
	static stralloc line = STRALLOC_ZERO;
	char const *s;
	va_list ap;
	int good = stralloc_copys(&line, what);

	if (*what == 'n')
		import.missed++;
	va_start(ap, what);
	while ((s = va_arg(ap, char const *)) != 0)
		good = good && printable(&line, s);
	va_end(ap);
	if (!good || !stralloc_append(&line, '\n') ||
	    allwrite(1, line.s, line.len) < line.len)
		import_die("write to", "standard output");
}

void
import_trouble(char const *path)
{
	import_miss(path, ": ", errno == ELOOP ? "a symbolic link" :
	    strerror(errno));
}

/* Absolute links, too, stay below the root.  A directory may be one: domains
 * lie on other disks.
 */
static int
in_root(char const *path, int flags)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = { 0, 0, 0x10 };		/* RESOLVE_IN_ROOT */

	how.flags = flags | O_CLOEXEC | O_NONBLOCK;
	if (!(flags & O_DIRECTORY))
		how.flags |= O_NOFOLLOW;
	return syscall(SYS_openat2, import.root, path, &how, sizeof how);
}

int
import_open(char const *path, int flags)
{
	return in_root(path, flags | O_RDONLY);
}

static int
slurp_fd(int fd, char const *path, stralloc *out)
{
	struct stat st;
	int r = -1;

	if (fd == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		import_trouble(path);
		return -1;
	}
	if (fstat(fd, &st) == -1)
		import_trouble(path);
	else if (!S_ISREG(st.st_mode))
		import_miss(path, ": not a file");
	else if (st.st_size > MOST)
		import_miss(path, ": larger than 64 MiB");
	else if (!slurp(out, fd))
		import_trouble(path);
	else
		r = 1;
	close(fd);
	return r;
}

int
import_slurp(char const *path, stralloc *out)
{
	return slurp_fd(import_open(path, 0), path, out);
}

int
import_slurp_at(int dir, char const *name, char const *path, stralloc *out)
{
	return slurp_fd(openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC), path, out);
}

static int
by_text(void const *a, void const *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
record_sort(struct record *r)
{
	size_t i, n = 0;

	for (i = 0; i < r->text.len; i++)
		n += r->text.s[i] == '\n';
	r->line = calloc(n + 1, sizeof *r->line);
	if (!r->line)
		import_die("remember", r->path);
	for (i = 0; r->n < n; i += strlen(r->text.s + i) + 1) {
		r->text.s[i + strcspn(r->text.s + i, "\n")] = 0;
		r->line[r->n++] = r->text.s + i;
	}
	qsort(r->line, r->n, sizeof *r->line, by_text);
}

void
record_open(struct record *r, char const *name)
{
	static struct record const none = { .text = STRALLOC_ZERO };

	*r = none;
	if (!*name)
		return;		/* in memory alone */
	if (strlen(name) > 200)
		import_die("remember", name);
	memcpy(r->path, "users/imported/", 15);
	memcpy(r->path + 15, name, strlen(name) + 1);
	if (!openslurpclose(&r->text, r->path) && errno != ENOENT)
		import_die("read", r->path);
	if (!stralloc_0(&r->text))
		import_die("read", r->path);
	record_sort(r);
}

/* The first line that is not less. */
static size_t
find(struct record const *r, char const *s, size_t n)
{
	size_t low = 0, high = r->n, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (strncmp(r->line[mid], s, n) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int
record_begins(struct record const *r, char const *s, size_t n)
{
	size_t i = find(r, s, n);

	return i < r->n && !strncmp(r->line[i], s, n);
}

int
record_has(struct record const *r, char const *s, size_t n)
{
	size_t i;

	for (i = find(r, s, n); i < r->n && !strncmp(r->line[i], s, n); i++)
		if (!r->line[i][n])
			return 1;
	return 0;
}

void
record_add(struct record *r, char const *s, size_t n)
{
	if (record_has(r, s, n))
		return;
	if (!stralloc_catb(&r->fresh, s, n) || !stralloc_append(&r->fresh,
	    '\n'))
		import_die("remember", r->path);
}

void
record_close(struct record *r)
{
	static struct textfile_owner const root = { 0, 0, 0600 };
	stralloc out = STRALLOC_ZERO;
	size_t i;

	if (r->fresh.len && !import.dry) {
		for (i = 0; i < r->n; i++)
			if (!stralloc_cats(&out, r->line[i]) ||
			    !stralloc_append(&out, '\n'))
				import_die("remember", r->path);
		if (!stralloc_cat(&out, &r->fresh) ||
		    textfile_write(r->path, out.s, out.len, &root) == -1)
			import_die("write", r->path);
	}
	stralloc_free(&out);
	stralloc_free(&r->text);
	stralloc_free(&r->fresh);
	free(r->line);
}
