#include "queue/listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/msgfile.h"

static int
compare(void const *a, void const *b)
{
	uint64_t x = *(uint64_t const *)a, y = *(uint64_t const *)b;

	return x < y ? -1 : x > y;
}

static int
is_dot(char const *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static void
warn_name(char const *dir, char const *name)
{
	log_start("warning", "file in the queue that is no message");
	log_string("directory", dir);
	log_string("name", name);
	log_end();
}

static int
read_one(char const *path, genalloc *ids)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	uint64_t id;
	int r = 1;

	if (!dir)
		return -1;
	while (r == 1 && (errno = 0, e = readdir(dir))) {
		if (is_dot(e->d_name))
			continue;
		if (msgfile_id(e->d_name, strlen(e->d_name), &id) != 1)
			warn_name(path, e->d_name);
		else if (!genalloc_append(uint64_t, ids, &id))
			r = -1;
	}
	if (!e && errno)
		r = -1;
	closedir(dir);
	return r;
}

int
listing_read(genalloc *ids, char const **where)
{
	static char path[16];
	unsigned int i;

	*where = path;
	for (i = 0; i < MSGFILE_SPLIT; i++) {
		snprintf(path, sizeof path, "mess/%02u", i);
		if (read_one(path, ids) == -1)
			return -1;
	}
	if (ids->len)
		qsort(ids->s, genalloc_len(uint64_t, ids), sizeof(uint64_t),
		    compare);
	return 1;
}

int
listing_count(char const *path, uint64_t *n)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir)
		return -1;
	*n = 0;
	while ((e = readdir(dir)))
		*n += !is_dot(e->d_name);
	closedir(dir);
	return 1;
}
