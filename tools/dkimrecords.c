#include "tools/dkimrecords.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/control.h"

#define BETWEEN "._domainkey."

DIR *
dkimrecords_open(void)
{
	return opendir("dkim");
}

/* The length of the selector in a file's name; 0: of another domain. */
static size_t
selector_of(char const *file, char const *domain)
{
	size_t n = strlen(file), d = strlen(domain);
	size_t tail = sizeof BETWEEN - 1 + d + 4;

	if (n <= tail || strcmp(file + n - 4, ".txt") ||
	    strncasecmp(file + n - 4 - d, domain, d) ||
	    strncmp(file + n - tail, BETWEEN, sizeof BETWEEN - 1))
		return 0;
	return n - tail;
}

/* domain:selector[:selector...] */
static int
names(char const *line, char const *domain, char const *selector, size_t n)
{
	size_t d = strlen(domain), k;

	if (strncasecmp(line, domain, d) || line[d] != ':')
		return 0;
	for (line += d; *line; line += k) {
		line++;
		k = strcspn(line, ":");
		if (k == n && !strncasecmp(line, selector, n))
			return 1;
	}
	return 0;
}

static int
is_in_use(char const *domain, char const *selector, size_t n)
{
	stralloc list = STRALLOC_ZERO;
	int r = control_list("control/dkim", &list), found = 0;
	size_t i;

	for (i = 0; r == 1 && i < list.len; i += strlen(list.s + i) + 1)
		found |= names(list.s + i, domain, selector, n);
	stralloc_free(&list);
	return r == -1 ? -1 : found;
}

/* 1; 0 it is empty; -1. */
static int
fill(struct dkimrecord *out, char const *file, char const *domain, size_t n)
{
	stralloc path = STRALLOC_ZERO;
	int r = -1;

	if (stralloc_copyb(&out->name, file, strlen(file) - 4) &&
	    stralloc_0(&out->name) && stralloc_cats(&path, "dkim/") &&
	    stralloc_cats(&path, file) && stralloc_0(&path))
		r = control_line(path.s, &out->value);
	if (r == 1 && !stralloc_0(&out->value))
		r = -1;
	if (r == 1)
		out->in_use = is_in_use(domain, file, n);
	stralloc_free(&path);
	return r == 1 && out->in_use == -1 ? -1 : r;
}

int
dkimrecords_next(DIR *d, char const *domain, struct dkimrecord *out)
{
	struct dirent *e;
	size_t n;
	int r, why;

	while (errno = 0, (e = readdir(d))) {
		n = selector_of(e->d_name, domain);
		if (!n)
			continue;
		r = fill(out, e->d_name, domain, n);
		if (r == 0)
			continue;
		if (r == 1)
			return 1;
		break;
	}
	why = errno;
	closedir(d);
	errno = why;
	return why ? -1 : 0;
}
