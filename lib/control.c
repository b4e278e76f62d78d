#include "lib/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <skalibs/types.h>

/* Cuts the next value off *s; 0 at the end. */
static int
next_value(char const **s, size_t *len, char const **value, size_t *n)
{
	while (*len) {
		char const *line = *s;
		char const *nl = memchr(line, '\n', *len);
		size_t all = nl ? (size_t)(nl - line) + 1 : *len;

		*s += all;
		*len -= all;
		while (all && memchr(" \t\r\n", line[all-1], 4))
			all--;
		if (!all || *line == '#')
			continue;
		*value = line;
		*n = all;
		return 1;
	}
	return 0;
}

/* What a file says.  Most files fit the small buffer, and most programs live
 * for one connection: two calls and no heap for those that do. */
struct contents {
	char const *s;
	size_t len;
	stralloc large;
	char small[1024];
};

/* The caller frees c->large. */
static int
read_all(char const *file, struct contents *c)
{
	stralloc zero = STRALLOC_ZERO;
	int fd = openat(AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
	int e = 0;
	ssize_t n;

	c->large = zero;
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	do {
		n = read(fd, c->small, sizeof c->small);
		if (n > 0 && (c->large.len || n == sizeof c->small) &&
		    !stralloc_catb(&c->large, c->small, n))
			e = ENOMEM;
		else if (n == -1 && errno != EINTR)
			e = errno;
	} while (!e && (n == sizeof c->small || n == -1));
	close(fd);
	c->s = c->large.len ? c->large.s : c->small;
	c->len = c->large.len ? c->large.len : (size_t)n;
	if (!e)
		return 1;
	errno = e;
	return -1;
}

/* The same, and the first value.  1, 0, -1. */
static int
first_value(char const *file, struct contents *c, char const **value,
    size_t *n)
{
	int r = read_all(file, c);

	return r == 1 ? next_value(&c->s, &c->len, value, n) : r;
}

int
control_text(char const *file, char *s, size_t max, size_t *len)
{
	struct contents c;
	char const *value;
	size_t n;
	int r = first_value(file, &c, &value, &n);

	if (r == 1 && n > max) {
		errno = EMSGSIZE;
		r = -1;
	} else if (r == 1) {
		memcpy(s, value, n);
		*len = n;
	}
	stralloc_free(&c.large);
	return r;
}

int
control_line(char const *file, stralloc *out)
{
	struct contents c;
	char const *value;
	size_t n;
	int r = first_value(file, &c, &value, &n);

	if (r == 1 && !stralloc_copyb(out, value, n))
		r = -1;
	stralloc_free(&c.large);
	return r;
}

int
control_list(char const *file, stralloc *out)
{
	struct contents c;
	stralloc list = STRALLOC_ZERO;
	char const *value;
	size_t n;
	int r = read_all(file, &c);

	while (r == 1 && next_value(&c.s, &c.len, &value, &n))
		if (!stralloc_catb(&list, value, n) || !stralloc_0(&list))
			r = -1;
	if (r == 1)
		r = list.len != 0;
	stralloc_free(&c.large);
	if (r == 1) {
		stralloc_free(out);
		*out = list;
	} else
		stralloc_free(&list);
	return r;
}

int
control_uint(char const *file, unsigned int *out)
{
	char s[32];
	size_t n;
	unsigned int u;	/* uint0_scan writes even when it fails */
	int r = control_text(file, s, sizeof s - 1, &n);

	if (r == -1 && errno == EMSGSIZE)
		errno = EINVAL;
	if (r != 1)
		return r;
	s[n] = 0;
	if (!uint0_scan(s, &u)) {
		errno = EINVAL;
		return -1;
	}
	*out = u;
	return 1;
}

int
control_line_or_me(char const *file, stralloc *out)
{
	int r = control_line(file, out);

	return r ? r : control_line("control/me", out);
}

int
control_has(stralloc const *list, char const *s, size_t n)
{
	size_t i, len;

	for (i = 0; i < list->len; i += len + 1) {
		len = strlen(list->s + i);
		if (len == n && strncasecmp(list->s + i, s, n) == 0)
			return 1;
	}
	return 0;
}

int
control_has_domain(stralloc const *list, char const *s, size_t n)
{
	if (control_has(list, s, n))
		return n && *s != '.';
	while (n) {
		s++;
		n--;
		if (n && *s == '.' && control_has(list, s, n))
			return 1;
	}
	return 0;
}
