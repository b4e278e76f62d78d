#include "lib/quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

enum {
	LONG = 5120,		/* of maildirsize: Maildir++ recounts then */
	FRESH = 15 * 60,	/* seconds that a count is believed */
	DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
};

#define MOST ((uint64_t)1 << 60)

static int
number(char const **s, uint64_t *out)
{
	char const *start = *s;
	uint64_t u = 0;

	for (; **s >= '0' && **s <= '9'; ++*s) {
		u = u * 10 + (**s - '0');
		if (u > MOST)
			return 0;
	}
	*out = u;
	return *s > start;
}

static int
unit(char const **s, uint64_t *u)
{
	unsigned int shift = **s == 'M' || **s == 'm' ? 20 :
	    **s == 'K' || **s == 'k' ? 10 : 0;

	if (shift) {
		++*s;
		*s += **s == 'B' || **s == 'b';
		if (*u > MOST >> shift)
			return 0;
		*u <<= shift;
	} else
		*s += **s == 'S';
	return 1;
}

int
quota_parse(char const *s, struct quota *out)
{
	struct quota q = { 0, 0 };
	uint64_t u;

	if (!number(&s, &u))
		return 0;
	if (*s == 'C') {
		q.count = u;
		s++;
	} else {
		if (!unit(&s, &u))
			return 0;
		q.bytes = u;
		if (*s == ',') {
			s++;
			if (!number(&s, &q.count) || *s++ != 'C')
				return 0;
		}
	}
	if (*s || (!q.bytes && !q.count))
		return 0;
	*out = q;
	return 1;
}

static int
fits(struct quota const *q, struct quota_sum const *s, uint64_t size)
{
	return (!q->bytes || s->bytes + (int64_t)size <= (int64_t)q->bytes) &&
	    (!q->count || s->count + 1 <= (int64_t)q->count);
}

/* "SIZE COUNT", each with a sign or without. */
static int
add_line(char *line, struct quota_sum *s)
{
	char *end;
	long long bytes, count;

	errno = 0;
	bytes = strtoll(line, &end, 10);
	if (end == line || *end != ' ')
		return 0;
	line = end + 1;
	count = strtoll(line, &end, 10);
	if (end == line || *end || errno ||
	    bytes > (long long)MOST || bytes < -(long long)MOST ||
	    count > (long long)MOST || count < -(long long)MOST)
		return 0;
	s->bytes += bytes;
	s->count += count;
	s->lines++;
	return s->bytes < (long long)MOST && s->bytes > -(long long)MOST &&
	    s->count < (long long)MOST && s->count > -(long long)MOST;
}

static int
add_up(char *text, struct quota const *q, struct quota_sum *s)
{
	struct quota named;
	char *line = text, *nl = strchr(text, '\n');

	if (!nl)
		return 0;
	*nl = 0;
	if (!quota_parse(line, &named) || (q && (named.bytes != q->bytes ||
	    named.count != q->count)))
		return 0;
	for (line = nl + 1; *line; line = nl + 1) {
		nl = strchr(line, '\n');
		if (!nl)
			return 0;
		*nl = 0;
		if (!add_line(line, s))
			return 0;
	}
	return s->lines && s->bytes >= 0 && s->count >= 0;
}

/* 1; 0 the file must be made anew; -1. */
static int
read_sum(int dir, struct quota const *q, struct quota_sum *s)
{
	char text[LONG + 1];
	struct stat st;
	size_t n;
	int fd = openat(dir, "maildirsize",
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1)
		return errno == ENOENT || errno == ELOOP ? 0 : -1;
	memset(s, 0, sizeof *s);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size >= LONG) {
		close(fd);
		return 0;
	}
	n = allread(fd, text, LONG);
	close(fd);
	text[n] = 0;
	s->written = st.st_mtime;
	return n < LONG && strlen(text) == n && add_up(text, q, s);
}

/* ",S=1234" of a name says the size; else the file does. */
static int
size_of(int dir, char const *name, uint64_t *out)
{
	char const *s = strstr(name, ",S=");
	struct stat st;

	if (s) {
		s += 3;
		if (number(&s, out) && (!*s || *s == ',' || *s == ':'))
			return 1;
	}
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode))
		return 0;	/* gone meanwhile, or no message */
	*out = st.st_size;
	return 1;
}

static int
count_dir(int parent, char const *name, struct quota_sum *s)
{
	int fd = openat(parent, name, DIRECTORY);
	DIR *d = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;
	uint64_t u;

	if (!d) {
		if (fd != -1)
			close(fd);
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ?
		    1 : -1;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && size_of(fd, e->d_name, &u)) {
			s->bytes += u;
			s->count++;
		}
	closedir(d);
	return 1;
}

static int
count_both(int dir, struct quota_sum *s)
{
	return count_dir(dir, "new", s) == 1 && count_dir(dir, "cur", s) == 1 ?
	    1 : -1;
}

/* Folders are ".NAME"; what is in .Trash does not count. */
static int
count_folder(int dir, char const *name, struct quota_sum *s)
{
	int fd, r;

	if (*name != '.' || !strcmp(name, ".") || !strcmp(name, "..") ||
	    !strcmp(name, ".Trash"))
		return 1;
	fd = openat(dir, name, DIRECTORY);
	if (fd == -1)
		return errno == EACCES ? -1 : 1;
	r = count_both(fd, s);
	close(fd);
	return r;
}

static int
count_all(int dir, struct quota_sum *s)
{
	int fd = openat(dir, ".", DIRECTORY), r;
	DIR *d = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;

	memset(s, 0, sizeof *s);
	if (!d) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	r = count_both(dir, s);
	while (r == 1 && (e = readdir(d)))
		r = count_folder(dir, e->d_name, s);
	closedir(d);
	return r;
}

static size_t
print(char *out, size_t max, struct quota const *q, struct quota_sum const *s)
{
	size_t n = 0;

	if (q->bytes)
		n += snprintf(out + n, max - n, "%" PRIu64 "S", q->bytes);
	if (q->bytes && q->count)
		n += snprintf(out + n, max - n, ",");
	if (q->count)
		n += snprintf(out + n, max - n, "%" PRIu64 "C", q->count);
	return n + snprintf(out + n, max - n, "\n%" PRId64 " %" PRId64 "\n",
	    s->bytes, s->count);
}

/* Made in tmp/ and moved.  Not synced: it can be counted again. */
static int
write_sum(int dir, struct quota const *q, struct quota_sum const *s)
{
	char text[200], name[100];
	size_t n = print(text, sizeof text, q, s);
	int fd, tmp = openat(dir, "tmp", DIRECTORY);
	int good = 0;

	if (tmp == -1)
		return -1;
	snprintf(name, sizeof name, "%lld.P%ldmaildirsize",
	    (long long)time(0), (long)getpid());
	fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd != -1) {
		good = allwrite(fd, text, n) == n &&
		    renameat(tmp, name, dir, "maildirsize") == 0;
		if (!good)
			unlinkat(tmp, name, 0);
		close(fd);
	}
	close(tmp);
	return good ? 1 : -1;
}

/* What is there, counted anew if it must be. */
static int
look(struct quota_place const *p, int dir, struct quota const *q,
    uint64_t size, struct quota_sum *s)
{
	int r = read_sum(dir, q, s);
	time_t now = time(0);

	if (r == 1 && fits(q, s, size))
		return 1;
	if (r == 1 && s->lines == 1 && now >= s->written &&
	    now - s->written < FRESH)
		return 1;
	if (r == -1)
		return -1;
	memset(s, 0, sizeof *s);
	r = p->count ? p->count(s, p->arg) : count_all(dir, s);
	return r == -1 ? -1 : write_sum(dir, q, s);
}

static void
give(struct quota_sum const *s, struct quota *out)
{
	out->bytes = s->bytes > 0 ? s->bytes : 0;
	out->count = s->count > 0 ? s->count : 0;
}

int
quota_room(struct quota_place const *p, struct quota const *q, uint64_t size,
    struct quota *used)
{
	int r, dir = open(p->dir, DIRECTORY);
	struct quota_sum s;

	if (dir == -1)
		return -1;
	r = look(p, dir, q, size, &s);
	close(dir);
	if (r == -1)
		return -1;
	give(&s, used);
	return fits(q, &s, size);
}

int
quota_sum(int at, char const *maildir, struct quota_sum *out)
{
	int r, dir = openat(at, maildir, DIRECTORY);
	struct quota_sum s;

	if (dir == -1)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ?
		    1 : -1;
	r = read_sum(dir, 0, &s);
	if (r == 0)
		r = count_all(dir, &s);
	close(dir);
	if (r == 1) {
		out->bytes += s.bytes;
		out->count += s.count;
	}
	return r;
}

int
quota_tight(struct quota const *q, struct quota const *used,
    unsigned int percent)
{
	return (q->bytes && used->bytes >= q->bytes / 100 * percent +
	    q->bytes % 100 * percent / 100) ||
	    (q->count && used->count >= (q->count * percent + 99) / 100);
}

int
quota_add(char const *place, uint64_t size)
{
	char line[64];
	size_t n = snprintf(line, sizeof line, "%" PRIu64 " 1\n", size);
	int fd, dir = open(place, DIRECTORY);
	int good;

	if (dir == -1)
		return -1;
	fd = openat(dir, "maildirsize", O_WRONLY | O_APPEND | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC);
	close(dir);
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	good = write(fd, line, n) == (ssize_t)n;
	close(fd);
	return good ? 1 : -1;
}
