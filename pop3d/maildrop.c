#include "pop3d/maildrop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/fmtscan.h>
#include <skalibs/sha256.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "pop3d/octets.h"
#include "pop3d/sizes.h"

/* The number behind mark (",W=" or ",S=") before the flags, or
 * MAILDROP_UNKNOWN.
 */
static uint64_t
size_in_name(char const *name, char const *mark)
{
	size_t len = strcspn(name, ":");
	char const *s = name;
	uint64_t u;
	size_t n;

	while ((s = strstr(s, mark)) != 0 && (size_t)(s - name) < len) {
		s += 3;
		n = uint64_scan(s, &u);
		if (n && n < 16 && (!s[n] || s[n] == ',' || s[n] == ':'))
			return u;
	}
	return MAILDROP_UNKNOWN;
}

static uint64_t
time_of(char const *name)
{
	uint64_t u = 0;

	uint64_scan(name, &u);
	return u;
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
	m->time = time_of(name);
	m->size = size_in_name(name, ",W=");
	m->named = m->size != MAILDROP_UNKNOWN;
	m->fresh = fresh;
	m->deleted = m->removed = 0;
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

/* By what identifies a message: the name up to its flags. */
static int
compare(char const *a, char const *b)
{
	unsigned char x, y;

	do {
		x = *a == ':' ? 0 : *a;
		y = *b == ':' ? 0 : *b;
		a++;
		b++;
	} while (x && x == y);
	return x - y;
}

static int
order(struct maildrop const *d, struct mailmsg const *a,
    struct maildrop const *e, struct mailmsg const *b)
{
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return compare(d->names.s + a->name, e->names.s + b->name);
}

int
maildrop_order(struct maildrop const *d, size_t i, char const *name)
{
	struct mailmsg const *m = d->msg + i;
	uint64_t t = time_of(name);

	if (m->time != t)
		return m->time < t ? -1 : 1;
	return compare(d->names.s + m->name, name);
}

static struct maildrop const *sorted;	/* qsort passes no context */

static int
earlier(void const *a, void const *b)
{
	return order(sorted, a, sorted, b);
}

/* A message that another session moved from new/ to cur/ while we looked is
 * seen twice; the one in cur/ is there.
 */
static void
drop_twins(struct maildrop *d)
{
	size_t i, kept = 0;

	for (i = 0; i < d->count; i++)
		if (!kept || order(d, d->msg + kept - 1, d, d->msg + i) != 0)
			d->msg[kept++] = d->msg[i];
		else if (d->msg[kept-1].fresh)
			d->msg[kept-1] = d->msg[i];
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
	d->dir = open_dir(AT_FDCWD, path);
	if (d->dir == -1)
		return -1;
	d->fresh = open_dir(d->dir, "new");
	d->cur = open_dir(d->dir, "cur");
	if (d->fresh == -1 || d->cur == -1) {
		maildrop_close(d);
		return -1;
	}
	return 1;
}

int
maildrop_list(struct maildrop *d)
{
	/* new/ first: what moves to cur/ meanwhile is seen twice, never not */
	if (list(d, d->fresh, 1) == -1 || list(d, d->cur, 0) == -1)
		return -1;
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
	if (d->dir != -1)
		close(d->dir);
	d->dir = d->fresh = d->cur = -1;
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

static int
open_file(struct maildrop const *d, size_t i)
{
	return openat(d->msg[i].fresh ? d->fresh : d->cur, name_of(d, i),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* The message at i of d has the name of the one at k of now.  1, -1. */
static int
rename_as(struct maildrop *d, size_t i, struct maildrop const *now, size_t k)
{
	char const *s = name_of(now, k);
	size_t at = d->names.len;

	d->msg[i].fresh = now->msg[k].fresh;
	if (strcmp(name_of(d, i), s) == 0)
		return 1;
	if (at > UINT32_MAX - 256 ||
	    !stralloc_catb(&d->names, s, strlen(s) + 1))
		return -1;
	d->msg[i].name = at;
	return 1;
}

/* Somebody else has moved messages to cur/, or changed their flags: finds
 * their names.  So many times, for it reads both directories.  1; 0 not any
 * more; -1.
 */
static int
refresh(struct maildrop *d)
{
	struct maildrop now = MAILDROP_ZERO;
	size_t i, k = 0;
	int c, r = -1;

	if (d->refreshed == MAILDROP_REFRESH)
		return 0;
	d->refreshed++;
	now.fresh = d->fresh;
	now.cur = d->cur;
	if (maildrop_list(&now) == -1)
		goto out;
	for (i = 0; i < d->count && k < now.count; i += c <= 0) {
		c = order(d, d->msg + i, &now, now.msg + k);
		if (c == 0 && rename_as(d, i, &now, k) == -1)
			goto out;
		k += c >= 0;
	}
	r = 1;
out:
	now.fresh = now.cur = -1;
	maildrop_close(&now);
	return r;
}

int
maildrop_file(struct maildrop *d, size_t i)
{
	int fd = open_file(d, i);
	struct stat st;

	if (fd == -1 && errno == ENOENT && refresh(d) == 1)
		fd = open_file(d, i);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

static int
measure(struct maildrop *d, size_t i)
{
	int fd = maildrop_file(d, i);
	uint64_t size;
	int r;

	if (fd == -1)
		return -1;
	r = octets_count(fd, &size);
	close(fd);
	if (r == 1) {
		d->msg[i].size = size;
		d->measured++;
	}
	return r;
}

int
maildrop_size(struct maildrop *d, size_t i, uint64_t *out)
{
	struct mailmsg *m = d->msg + i;

	if (m->size == MAILDROP_UNKNOWN && !d->loaded) {
		d->loaded = 1;
		sizes_load(d);
	}
	if (m->size == MAILDROP_UNKNOWN && measure(d, i) == -1)
		return -1;
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

/* What Maildir++ counts: the size in the name, else that of the file. */
static uint64_t
stored_size(int dir, char const *name)
{
	uint64_t u = size_in_name(name, ",S=");
	struct stat st;

	if (u != MAILDROP_UNKNOWN)
		return u;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ? 0 :
	    (uint64_t)st.st_size;
}

/* 1; 0 it is not there, or has another name; -1 */
static int
remove_one(struct maildrop *d, size_t i)
{
	int dir = d->msg[i].fresh ? d->fresh : d->cur;
	uint64_t size = stored_size(dir, name_of(d, i));

	if (unlinkat(dir, name_of(d, i), 0) == -1)
		return errno == ENOENT ? 0 : -1;
	d->msg[i].removed = 1;
	d->removed_bytes += size;
	d->removed++;
	return 1;
}

/* 1; 0 some are not there, or have another name; -1 */
static int
remove_all(struct maildrop *d)
{
	size_t i;
	int r = 1;

	for (i = 0; i < d->count; i++) {
		int one = 1;

		if (d->msg[i].deleted && !d->msg[i].removed)
			one = remove_one(d, i);
		r = one < r ? one : r;
	}
	return r;
}

/* One line says what went (Maildir++). */
void
maildrop_note(struct maildrop const *d, int dir)
{
	char line[64];
	size_t n = snprintf(line, sizeof line, "-%llu -%llu\n",
	    (unsigned long long)d->removed_bytes,
	    (unsigned long long)d->removed);
	int fd = openat(dir, "maildirsize", O_WRONLY | O_APPEND |
	    O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1)
		return;
	if (write(fd, line, n) != (ssize_t)n)
		strerr_warnwusys("write maildirsize");
	close(fd);
}

/* What a delivery that was cut off has left in tmp/: maildir(5) gives it 36
 * hours.
 */
static void
sweep(struct maildrop const *d)
{
	int fd = open_dir(d->dir, "tmp");
	DIR *dir = fd == -1 ? 0 : fdopendir(fd);
	time_t oldest = time(0) - 36 * 3600;
	struct dirent *e;
	struct stat st;

	if (!dir) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != 0)
		if (*e->d_name != '.' && fstatat(fd, e->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    st.st_mtime < oldest)
			unlinkat(fd, e->d_name, 0);
	closedir(dir);
}

int
maildrop_commit(struct maildrop *d)
{
	stralloc to = STRALLOC_ZERO;
	size_t i;
	int r, counted = faccessat(d->dir, "maildirsize", F_OK, 0) == 0;

	r = remove_all(d);
	if (r == 0) {		/* however often it has looked before */
		d->refreshed = 0;
		r = refresh(d) == 1 ? remove_all(d) : -1;
	}
	if (counted && d->removed)
		maildrop_note(d, d->dir);
	for (i = 0; i < d->count; i++)
		if (!d->msg[i].deleted && d->msg[i].fresh)
			move(d, i, &to);
	stralloc_free(&to);
	sweep(d);
	if (d->measured >= MAILDROP_MEASURED && sizes_save(d) == -1)
		strerr_warnwusys("write pop3sizes");
	return r == -1 ? 0 : 1;
}
