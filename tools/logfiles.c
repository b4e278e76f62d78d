#include "tools/logfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/crc32c.h"

enum {
	START = 64,		/* bytes that the checksum is of */
	TRIES = 20		/* listings, while files are renamed */
};

struct file {
	char name[LOGFILES_NAME];
	uint64_t inode;
};

struct list {
	struct file *file;
	size_t n;
};

static int
compressed(char const *name)
{
	static char const *const ends[] = { ".gz", ".bz2", ".xz", ".zst" };
	size_t i, n = strlen(name), len;

	for (i = 0; i < sizeof ends / sizeof *ends; i++) {
		len = strlen(ends[i]);
		if (n > len && strcmp(name + n - len, ends[i]) == 0)
			return 1;
	}
	return 0;
}

/* Is it one of the files of this log? */
static int
ours(struct logfiles const *l, char const *name)
{
	size_t n = strlen(l->base);

	if (strlen(name) >= LOGFILES_NAME || compressed(name))
		return 0;
	if (!n)
		return (*name == '@' && strlen(name) > 24) ||
		    !strcmp(name, "current") || !strcmp(name, "previous");
	if (strncmp(name, l->base, n) != 0)
		return 0;
	name += n;
	if (!*name)
		return 1;
	return (*name == '.' || *name == '-') && name[1] &&
	    name[1 + strspn(name + 1, "0123456789")] == 0;
}

/* Names that sort as their files were written. */
static int
rank(char const *name, size_t base)
{
	if (!base)
		return *name == '@' ? 0 : *name == 'p' ? 1 : 2;
	return name[base] == '-' ? 0 : name[base] == '.' ? 1 : 2;
}

static size_t base_length;	/* for qsort, which passes nothing on */

static int
older(void const *a, void const *b)
{
	char const *x = ((struct file const *)a)->name;
	char const *y = ((struct file const *)b)->name;
	int r = rank(x, base_length) - rank(y, base_length);

	if (r)
		return r;
	if (base_length && rank(x, base_length) == 1) {
		/* NAME.10 is older than NAME.9 */
		if (strlen(x) != strlen(y))
			return strlen(x) > strlen(y) ? -1 : 1;
		return strcmp(y, x);
	}
	return strcmp(x, y);
}

static int
list_add(struct logfiles const *l, struct list *list, char const *name)
{
	struct stat st;

	if (list->n == LOGFILES_MOST || !ours(l, name))
		return 1;
	if (fstatat(l->dir, name, &st, 0) == -1)
		return errno == ENOENT ? 1 : -1;
	if (!S_ISREG(st.st_mode))
		return 1;
	memcpy(list->file[list->n].name, name, strlen(name) + 1);
	list->file[list->n++].inode = (uint64_t)st.st_ino;
	return 1;
}

/* multilog links "previous" to its new name before it unlinks it: for a moment
 * one file has two names.
 */
static void
drop_second_names(struct list *list)
{
	size_t i, j, kept = 0;

	for (i = 0; i < list->n; i++) {
		for (j = 0; j < kept; j++)
			if (list->file[j].inode == list->file[i].inode)
				break;
		if (j == kept)
			list->file[kept++] = list->file[i];
	}
	list->n = kept;
}

/* A file that is renamed meanwhile may be seen twice, or not at all. */
static int
list_once(struct logfiles const *l, struct list *list)
{
	int fd = openat(l->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;
	int r = 1;

	if (!d) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	list->n = 0;
	while (r == 1 && (e = readdir(d)))
		r = list_add(l, list, e->d_name);
	closedir(d);
	base_length = strlen(l->base);
	qsort(list->file, list->n, sizeof *list->file, older);
	drop_second_names(list);
	return r;
}

static int
same(struct list const *a, struct list const *b)
{
	size_t i;

	if (a->n != b->n)
		return 0;
	for (i = 0; i < a->n; i++)
		if (a->file[i].inode != b->file[i].inode ||
		    strcmp(a->file[i].name, b->file[i].name) != 0)
			return 0;
	return 1;
}

static void
pause_a_little(void)
{
	static struct timespec const t = { 0, 20000000 };

	nanosleep(&t, 0);
}

/* Two readings that agree; the caller frees list->file.  1, -1. */
static int
list_make(struct logfiles const *l, struct list *list)
{
	struct list again = { 0, 0 };
	unsigned int tries = 0;
	int r = -1;

	list->file = malloc(LOGFILES_MOST * sizeof *list->file);
	again.file = malloc(LOGFILES_MOST * sizeof *list->file);
	if (list->file && again.file && list_once(l, list) == 1)
		do {
			r = list_once(l, &again);
			if (r == -1 || same(list, &again))
				break;
			memcpy(list->file, again.file,
			    again.n * sizeof *list->file);
			list->n = again.n;
			pause_a_little();
			r = -1;
			errno = EAGAIN;
		} while (++tries < TRIES);
	free(again.file);
	if (r == -1) {
		free(list->file);
		list->file = 0;
	}
	return r;
}

/* The checksum of what the file begins with, up to n bytes. */
static int
start_of(int fd, uint64_t n, uint32_t *out)
{
	char s[START];
	size_t want = n < START ? (size_t)n : START, got = 0;
	ssize_t r;

	while (got < want) {
		r = pread(fd, s + got, want - got, (off_t)got);
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return -1;
		if (r == 0)
			return 0;
		got += (size_t)r;
	}
	*out = crc32c(0, s, got);
	return 1;
}

/* 1; 0: it is another file by now, list again; -1 */
static int
open_file(struct logfiles *l, struct file const *f, int last)
{
	int fd = openat(l->dir, f->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	/* some loggers make a file, and let others read it then */
	if (fd == -1)
		return errno == ENOENT || errno == EACCES ? 0 : -1;
	if (fstat(fd, &st) == -1 || (uint64_t)st.st_ino != f->inode) {
		close(fd);
		return 0;
	}
	if (l->fd != -1)
		close(l->fd);
	l->fd = fd;
	l->finished = !last;
	l->place.inode = f->inode;
	l->place.offset = 0;
	l->place.start = 0;
	return 1;
}

/* Does the place lie in the file that is open?  1, 0, -1. */
static int
continues(struct logfiles const *l, struct logplace const *p)
{
	struct stat st;
	uint32_t start;
	int r;

	if (fstat(l->fd, &st) == -1)
		return -1;
	if ((uint64_t)st.st_size < p->offset)
		return 0;
	r = start_of(l->fd, p->offset, &start);
	return r == 1 ? start == p->start : r;
}

/* Opens the file of the place, or else the oldest one. */
static int
open_at(struct logfiles *l, struct list const *list, struct logplace const *p)
{
	size_t i = 0;
	int r;

	while (p && p->inode && i < list->n && list->file[i].inode != p->inode)
		i++;
	if (p && p->inode && i < list->n) {
		r = open_file(l, list->file + i, i + 1 == list->n);
		if (r == 0)
			return 0;
		if (r == 1)
			r = continues(l, p);
		if (r == 1) {
			l->place = *p;
			return lseek(l->fd, (off_t)p->offset, SEEK_SET) == -1 ?
			    -1 : 1;
		}
		if (r == -1)
			return -1;
	}
	l->lost = p && p->inode;
	i = !(p && p->inode) && l->only_last && list->n ? list->n - 1 : 0;
	r = open_file(l, list->file + i, i + 1 == list->n);
	l->place.time = l->lost ? p->time : 0;
	return r;
}

static int
open_directory(struct logfiles *l, char const *path)
{
	char const *slash = strrchr(path, '/');
	struct stat st;
	char dir[4096];
	size_t n;

	l->base[0] = 0;
	l->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dir != -1)
		return 1;
	if (errno != ENOTDIR && (errno != ENOENT || !stat(path, &st)))
		return errno == ENOENT ? 0 : -1;
	n = slash ? (size_t)(slash - path) + 1 : 0;
	if (n >= sizeof dir || strlen(path + n) >= sizeof l->base) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(dir, path, n);
	dir[n] = 0;
	memcpy(l->base, path + n, strlen(path + n) + 1);
	l->dir = open(n ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return l->dir != -1 ? 1 : errno == ENOENT ? 0 : -1;
}

/* Is the file of the place among them? */
static int
has_place(struct list const *list, struct logplace const *p)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (list->file[i].inode == p->inode)
			return 1;
	return !p->inode;
}

int
logfiles_open(struct logfiles *l, char const *path,
    struct logplace const *from)
{
	struct list list = { 0, 0 };
	unsigned int tries = 0;
	int r;

	l->fd = -1;
	l->finished = l->lost = 0;
	memset(&l->place, 0, sizeof l->place);
	r = open_directory(l, path);
	if (r != 1)
		return r;
	do {
		r = list_make(l, &list);
		if (r == -1)
			break;
		if (!list.n) {
			free(list.file);
			logfiles_close(l);
			return 0;
		}
		/* it may just be getting another name */
		r = from && tries < TRIES / 2 && !has_place(&list, from) ? 0 :
		    open_at(l, &list, from);
		free(list.file);
		if (r == 0)
			pause_a_little();
	} while (r == 0 && ++tries < TRIES);
	/* nanosleep and close leave errno alone */
	if (r == 1)
		return 1;
	if (r == 0 && errno != EACCES)
		errno = EAGAIN;
	logfiles_close(l);
	return -1;
}

void
logfiles_stop(struct logfiles *l, uint64_t offset, uint64_t time)
{
	l->place.offset = offset;
	if (time)
		l->place.time = time;
	if (start_of(l->fd, offset, &l->place.start) != 1)
		l->place.start = 0;
}

/* Does the open file still have a name?  A listing may miss it while it gets
 * another one.
 */
static int
is_named(struct logfiles const *l)
{
	struct stat st;

	return fstat(l->fd, &st) == 0 && st.st_nlink > 0;
}

/* In the place of a file that is gone comes the oldest that is left: all that
 * were older have been read, and files go in the order of their age.
 */
static int
step(struct logfiles *l, struct list const *list, int patient)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (list->file[i].inode == l->place.inode)
			break;
	if (i + 1 == list->n)
		return -2;
	if (i == list->n && patient && is_named(l))
		return 0;
	if (i < list->n && !l->finished) {
		l->finished = 1;
		return 1;
	}
	i = i < list->n ? i + 1 : 0;
	if (i == list->n)
		return -2;
	if (i == 0)
		l->lost = 1;
	return open_file(l, list->file + i, i + 1 == list->n);
}

int
logfiles_next(struct logfiles *l, uint64_t offset, uint64_t time)
{
	struct list list = { 0, 0 };
	unsigned int tries = 0;
	struct stat st;
	int r;

	logfiles_stop(l, offset, time);
	/* emptied in place, as logrotate's copytruncate does */
	if (fstat(l->fd, &st) == 0 && (uint64_t)st.st_size < offset) {
		if (lseek(l->fd, 0, SEEK_SET) == -1)
			return -1;
		l->place.offset = 0;
		return st.st_size > 0;
	}
	do {
		if (list_make(l, &list) == -1)
			return -1;
		r = step(l, &list, tries < TRIES - 1);
		free(list.file);
		if (r == 0)
			pause_a_little();
	} while (r == 0 && ++tries < TRIES);
	return r == -2 ? 0 : r;
}

void
logfiles_close(struct logfiles *l)
{
	if (l->fd != -1)
		close(l->fd);
	if (l->dir != -1)
		close(l->dir);
	l->fd = l->dir = -1;
}
