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

/* Most files fit a small buffer, and most programs live for one connection:
 * two calls and no heap for those that do. */
static int
read_all(char const *file, stralloc *all)
{
	char s[2048];
	int fd = openat(AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
	int e = 0;
	ssize_t n;

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	do {
		n = read(fd, s, sizeof s);
		if (n > 0 && !stralloc_catb(all, s, n))
			e = ENOMEM;
		else if (n == -1 && errno != EINTR)
			e = errno;
	} while (!e && (n == sizeof s || n == -1));
	close(fd);
	if (!e)
		return 1;
	errno = e;
	return -1;
}

int
control_line(char const *file, stralloc *out)
{
	stralloc all = STRALLOC_ZERO;
	int r = read_all(file, &all);

	if (r == 1) {
		char const *s = all.s, *value;
		size_t len = all.len, n;

		r = next_value(&s, &len, &value, &n);
		if (r == 1 && !stralloc_copyb(out, value, n))
			r = -1;
	}
	stralloc_free(&all);
	return r;
}

int
control_list(char const *file, stralloc *out)
{
	stralloc all = STRALLOC_ZERO, list = STRALLOC_ZERO;
	int r = read_all(file, &all);

	if (r == 1) {
		char const *s = all.s, *value;
		size_t len = all.len, n;

		while (r == 1 && next_value(&s, &len, &value, &n))
			if (!stralloc_catb(&list, value, n) ||
			    !stralloc_0(&list))
				r = -1;
		if (r == 1)
			r = list.len != 0;
		if (r == 1 && !stralloc_copy(out, &list))
			r = -1;
	}
	stralloc_free(&all);
	stralloc_free(&list);
	return r;
}

int
control_uint(char const *file, unsigned int *out)
{
	stralloc v = STRALLOC_ZERO;
	unsigned int u;	/* uint0_scan writes even when it fails */
	int r = control_line(file, &v);

	if (r == 1 && !stralloc_0(&v))
		r = -1;
	if (r == 1 && !uint0_scan(v.s, &u)) {
		errno = EINVAL;
		r = -1;
	}
	if (r == 1)
		*out = u;
	stralloc_free(&v);
	return r;
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
