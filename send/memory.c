#include "send/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { MOST_AWAY = 30 * 86400 };

static void
set(int fd, uint64_t tried, uint64_t alive)
{
	struct timespec t[2] = { { .tv_sec = tried }, { .tv_sec = alive } };

	/* if it fails, the next start tries too much: no harm */
	if (futimens(fd, t) == -1)
		return;
}

int
memory_open(char const *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd != -1 || errno != ENOENT)
		return fd;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd != -1)
		set(fd, 0, 0);	/* its birth says nothing of messages */
	return fd;
}

void
memory_load(int fd, uint64_t now, struct memory *out)
{
	struct stat s;

	out->alive = out->tried = 0;
	if (fstat(fd, &s) == -1 || s.st_mtime <= 0 || s.st_atime <= 0 ||
	    s.st_atime > s.st_mtime || (uint64_t)s.st_mtime > now ||
	    now - s.st_mtime > MOST_AWAY)
		return;
	out->alive = s.st_mtime;
	out->tried = s.st_atime;
}

void
memory_save(int fd, uint64_t now, uint64_t tried)
{
	set(fd, tried < now ? tried : now, now);
}

int
memory_tried(struct memory const *m, uint64_t birth)
{
	return m->alive && birth < m->tried && birth <= m->alive;
}
