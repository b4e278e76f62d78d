#include "queue/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/msgfile.h"

/* inodes that must be free: one each for the messages that all workers may
 * have in hand at once, and some for the rest of the system
 */
enum { RESERVE_FILES = 2000 };

uint64_t
store_id(struct store *st, uint64_t *microseconds)
{
	uint64_t *last = &st->shared->last[st->number];
	struct timespec t;
	uint64_t u;

	clock_gettime(CLOCK_REALTIME, &t);
	u = t.tv_sec * (uint64_t)1000000 + t.tv_nsec / 1000;
	if (u <= *last)			/* the clock went back, or stands */
		u = *last + 1;
	*last = u;
	*microseconds = u;
	return u * 1000 + st->number;
}

/* A file system without a fixed number of inodes says that it has none. */
static int
look(uint64_t reserve)
{
	struct statvfs v;

	if (statvfs("tmp", &v) == -1)
		return errno;
	if ((uint64_t)v.f_bavail * v.f_frsize < reserve ||
	    (v.f_files && v.f_favail < RESERVE_FILES))
		return ENOSPC;
	return 0;
}

int
store_full(struct store *st)
{
	uint64_t second = clock_ms() / 1000;

	if (second != st->checked) {
		st->full = look(st->set.reserve);
		st->checked = second;
	}
	return st->full;
}

int
store_move(char const *from, char const *to)
{
	enum { NOREPLACE = 1 };

	if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to,
	    NOREPLACE) == 0)
		return 1;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* a file system that cannot do it: two steps, as safe */
	if (link(from, to) == -1)
		return -1;
	unlink(from);
	return 1;
}

void
store_sweep(int number)
{
	char path[16 + NAME_MAX];
	struct dirent *e;
	DIR *dir = opendir("tmp");
	uint64_t id;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (number != -1 &&
		    (msgfile_id(e->d_name, strlen(e->d_name), &id) != 1 ||
		    id % 1000 != (unsigned int)number))
			continue;
		snprintf(path, sizeof path, "tmp/%s", e->d_name);
		unlink(path);
	}
	closedir(dir);
}
