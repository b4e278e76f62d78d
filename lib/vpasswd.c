#include "lib/vpasswd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "lib/cdbfile.h"

enum { FIELDS = 8, LEAST = 7 };

static int
number(char const *s, unsigned long *out)
{
	uint64_t u;

	if (*s < '0' || *s > '9' || !uint640_scan(s, &u))
		return 0;
	*out = u;
	return 1;
}

int
vpasswd_parse(char const *line, size_t n, struct vpasswd *out)
{
	char *field[FIELDS];
	size_t i, count = 0;
	char *s;

	if (memchr(line, 0, n) || memchr(line, '\n', n))
		return 0;
	if (!stralloc_copyb(&out->sa, line, n) || !stralloc_0(&out->sa))
		return -1;
	s = out->sa.s;
	for (i = 0; count < FIELDS; count++) {
		field[count] = s + i;
		i += strcspn(s + i, ":");
		if (!s[i]) {
			count++;
			break;
		}
		s[i++] = 0;
	}
	if (count < LEAST || !*field[0] || !number(field[2], &out->uid) ||
	    !number(field[3], &out->flags))
		return 0;
	out->name = field[0];
	out->hash = field[1];
	out->gecos = field[4];
	out->dir = field[5];
	out->quota = field[6];
	out->clear = count > LEAST ? field[7] : "";
	return 1;
}

static int
plain(char const *s)
{
	return !s[strcspn(s, ":\n")];
}

int
vpasswd_format(stralloc *out, struct vpasswd const *p)
{
	char const *const field[] = { p->name, p->hash, 0, 0, p->gecos,
	    p->dir, p->quota, p->clear };
	size_t i, count = *p->clear ? FIELDS : LEAST, old = out->len;
	char fmt[UINT64_FMT];

	if (!*p->name)
		return 0;
	for (i = 0; i < count; i++)
		if (field[i] && !plain(field[i]))
			return 0;
	for (i = 0; i < count; i++) {
		char const *s = field[i] ? field[i] : fmt;

		if (!field[i])
			fmt[uint64_fmt(fmt, i == 2 ? p->uid : p->flags)] = 0;
		if (!stralloc_cats(out, s) ||
		    !stralloc_append(out, i + 1 < count ? ':' : '\n')) {
			out->len = old;
			return -1;
		}
	}
	return 1;
}

int
vpasswd_line(char const *s, size_t n, size_t *pos, char const **line,
    size_t *len)
{
	char const *lf;

	if (*pos >= n)
		return 0;
	*line = s + *pos;
	lf = memchr(*line, '\n', n - *pos);
	*len = lf ? (size_t)(lf - *line) : n - *pos;
	*pos += *len + 1;
	return 1;
}

size_t
vpasswd_name(char const *line, size_t n)
{
	char const *colon = memchr(line, ':', n);

	return colon ? (size_t)(colon - line) : n;
}

char const *
vpasswd_below(struct vpasswd const *p, char const *path)
{
	size_t n = strlen(path);

	if (strncmp(p->dir, path, n) == 0 && p->dir[n] == '/' && p->dir[n+1])
		return p->dir + n + 1;
	return p->name;
}

static int
found(char const *line, size_t n, struct vpasswd *out)
{
	int r = vpasswd_parse(line, n, out);

	if (r == 0)
		errno = EPROTO;
	return r == 1 ? 1 : -1;
}

static int
in_cdb(struct cdbfile *c, char const *name, size_t n, struct vpasswd *out)
{
	stralloc line = STRALLOC_ZERO;
	char const *value;
	size_t len;
	int r = cdbfile_get(c, name, n, &value, &len);

	if (r == -1)
		errno = EPROTO;
	if (r == 1) {
		r = stralloc_copyb(&line, name, n) &&
		    stralloc_append(&line, ':') &&
		    stralloc_catb(&line, value, len) ?
		    found(line.s, line.len, out) : -1;
		stralloc_free(&line);
	}
	return r;
}

static int
in_text(int fd, char const *name, size_t n, struct vpasswd *out)
{
	stralloc all = STRALLOC_ZERO;
	char const *line;
	size_t pos = 0, len;
	int r = slurp(&all, fd) ? 0 : -1;

	while (r == 0 && vpasswd_line(all.s, all.len, &pos, &line, &len))
		if (vpasswd_name(line, len) == n && !memcmp(line, name, n))
			r = found(line, len, out);
	stralloc_free(&all);
	return r;
}

static int
find_at(int dir, char const *name, size_t n, struct vpasswd *out, int *exists)
{
	struct cdbfile c = CDBFILE_ZERO;
	int fd, r = cdbfile_openat(&c, dir, "vpasswd.cdb");

	*exists = r == 1;
	if (r == 1) {
		r = in_cdb(&c, name, n, out);
		cdbfile_close(&c);
		return r;
	}
	if (r == -1)
		return -1;
	fd = openat(dir, "vpasswd", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	*exists = 1;
	r = in_text(fd, name, n, out);
	close(fd);
	return r;
}

int
vpasswd_find(char const *dir, char const *name, size_t n, struct vpasswd *out,
    int *exists)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r, e, there = 0;

	if (fd == -1)
		r = errno == ENOENT ? 0 : -1;
	else
		r = find_at(fd, name, n, out, &there);
	if (exists)
		*exists = there;
	e = errno;
	if (fd != -1)
		close(fd);
	errno = e;
	return r;
}
