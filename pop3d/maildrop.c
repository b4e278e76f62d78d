#include "pop3d/maildrop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/fmtscan.h>
#include <skalibs/sha256.h>
#include <skalibs/types.h>

#include "pop3d/octets.h"

/* ",W=1234" before the flags, as octets; MAILDROP_UNKNOWN without it. */
static uint64_t
size_in_name(char const *name)
{
	size_t len = strcspn(name, ":");
	char const *s = name;
	uint64_t u;
	size_t n;

	while ((s = strstr(s, ",W=")) != 0 && (size_t)(s - name) < len) {
		s += 3;
		n = uint64_scan(s, &u);
		if (n && n < 16 && (!s[n] || s[n] == ',' || s[n] == ':'))
			return u;
	}
	return MAILDROP_UNKNOWN;
}

static int
grow(struct maildrop *d)
{
	size_t room = d->room ? d->room + d->room / 2 : 64;
	struct mailmsg *m;

	if (d->count < d->room)
		return 1;
	m = realloc(d->msg, room * sizeof *m);
	if (!m)
		return -1;
	d->msg = m;
	d->room = room;
	return 1;
}

static int
add(struct maildrop *d, char const *name, int fresh)
{
	struct mailmsg *m;

	if (d->names.len > UINT32_MAX - 256) {
		errno = EOVERFLOW;
		return -1;
	}
	if (grow(d) == -1)
		return -1;
	m = d->msg + d->count;
	m->name = d->names.len;
	if (!stralloc_catb(&d->names, name, strlen(name) + 1))
		return -1;
	m->time = 0;
	uint64_scan(name, &m->time);
	m->size = size_in_name(name);
	m->fresh = fresh;
	m->deleted = 0;
	d->count++;
	return 1;
}

static int
list(struct maildrop *d, int dirfd, int fresh)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;
	int r = 1;

	if (!dir) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	while (r == 1 && d->count < MAILDROP_MOST) {
		errno = 0;
		e = readdir(dir);
		if (!e) {
			r = errno ? -1 : 0;
			break;
		}
		if (e->d_name[0] != '.')
			r = add(d, e->d_name, fresh);
	}
	closedir(dir);
	return r == -1 ? -1 : 1;
}

static struct maildrop const *sorted;	/* qsort passes no context */

static int
earlier(void const *x, void const *y)
{
	struct mailmsg const *a = x, *b = y;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return strcmp(sorted->names.s + a->name, sorted->names.s + b->name);
}

/* A message that another session moved from new/ to cur/ while we looked is
 * seen twice; the one in cur/ is there.
 */
static void
drop_twins(struct maildrop *d)
{
	size_t i, kept = 0;

	for (i = 0; i < d->count; i++) {
		char const *s = d->names.s + d->msg[i].name;
		size_t n = strcspn(s, ":");
		char const *last = kept ? d->names.s + d->msg[kept-1].name : "";

		if (kept && strcspn(last, ":") == n && !memcmp(last, s, n)) {
			if (d->msg[kept-1].fresh)
				d->msg[kept-1] = d->msg[i];
		} else
			d->msg[kept++] = d->msg[i];
	}
	d->count = kept;
}

static int
open_dir(int at, char const *path)
{
	return openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
}

int
maildrop_open(struct maildrop *d, char const *path)
{
	int dir = open_dir(AT_FDCWD, path);
	int e;

	if (dir == -1)
		return -1;
	d->fresh = open_dir(dir, "new");
	d->cur = open_dir(dir, "cur");
	e = errno;
	close(dir);
	errno = e;
	/* new/ first: what moves to cur/ meanwhile is seen twice, never not */
	if (d->fresh == -1 || d->cur == -1 || list(d, d->fresh, 1) == -1 ||
	    list(d, d->cur, 0) == -1) {
		maildrop_close(d);
		return -1;
	}
	sorted = d;
	qsort(d->msg, d->count, sizeof *d->msg, earlier);
	drop_twins(d);
	return 1;
}

void
maildrop_close(struct maildrop *d)
{
	int e = errno;

	if (d->fresh != -1)
		close(d->fresh);
	if (d->cur != -1)
		close(d->cur);
	d->fresh = d->cur = -1;
	free(d->msg);
	d->msg = 0;
	d->count = d->room = 0;
	stralloc_free(&d->names);
	errno = e;
}

static char const *
name_of(struct maildrop const *d, size_t i)
{
	return d->names.s + d->msg[i].name;
}

int
maildrop_file(struct maildrop const *d, size_t i)
{
	int fd = openat(d->msg[i].fresh ? d->fresh : d->cur, name_of(d, i),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

int
maildrop_size(struct maildrop *d, size_t i, uint64_t *out)
{
	struct mailmsg *m = d->msg + i;

	if (m->size == MAILDROP_UNKNOWN) {
		int fd = maildrop_file(d, i);
		int r = fd == -1 ? -1 : octets_count(fd, &m->size);

		if (fd != -1)
			close(fd);
		if (r == -1) {
			m->size = MAILDROP_UNKNOWN;
			return -1;
		}
	}
	*out = m->size;
	return 1;
}

static int
allowed(char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] <= 0x20 || s[i] >= 0x7f)
			return 0;
	return n && n < MAILDROP_UID - 1;
}

static void
hash(char *out, char const *s, size_t n)
{
	SHA256Schedule h = SHA256_INIT();
	char digest[32];

	sha256_update(&h, s, n);
	sha256_final(&h, digest);
	out[ucharn_fmt(out, digest, sizeof digest)] = 0;
}

void
maildrop_uid(struct maildrop const *d, size_t i, char out[static MAILDROP_UID])
{
	char const *s = name_of(d, i);
	size_t n = strcspn(s, ":");

	if (!allowed(s, n))
		n = strcspn(s, ",:");
	if (!allowed(s, n)) {
		hash(out, s, n);
		return;
	}
	memcpy(out, s, n);
	out[n] = 0;
}

/* A name in new/ has no flags by Maildir's rules; if it has, they stay. */
static void
move(struct maildrop const *d, size_t i, stralloc *to)
{
	char const *s = name_of(d, i);

	to->len = 0;
	if (!stralloc_cats(to, s) ||
	    (!strchr(s, ':') && !stralloc_cats(to, ":2,")) || !stralloc_0(to))
		return;		/* it stays new */
	renameat(d->fresh, s, d->cur, to->s);
}

int
maildrop_commit(struct maildrop *d)
{
	stralloc to = STRALLOC_ZERO;
	size_t i;
	int r = 1;

	for (i = 0; i < d->count; i++) {
		struct mailmsg const *m = d->msg + i;

		if (!m->deleted) {
			if (m->fresh)
				move(d, i, &to);
		} else if (unlinkat(m->fresh ? d->fresh : d->cur,
		    name_of(d, i), 0) == -1 && errno != ENOENT)
			r = 0;
	}
	stralloc_free(&to);
	return r;
}
