#include "lib/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int
write_at(int fd, char const *s, size_t n, off_t at)
{
	ssize_t r;

	while (n) {
		r = pwrite(fd, s, n, at);
		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			return -1;
		s += r;
		n -= (size_t)r;
		at += r;
	}
	return 1;
}

/* From memory to a file, where that can be. */
static void
move(struct spool *s)
{
	char const *dir = getenv("TMPDIR");
	char buf[16384];
	off_t at = 0;
	ssize_t r = 0;
	int fd;

	s->large = 1;
	fd = open(dir && *dir == '/' ? dir : "/tmp",
	    O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return;
	while (at < s->end && (r = pread(s->fd, buf, sizeof buf, at)) > 0) {
		if (write_at(fd, buf, (size_t)r, at) == -1)
			break;
		at += r;
	}
	if (at < s->end) {
		close(fd);
		return;
	}
	close(s->fd);
	s->fd = fd;
}

int
spool_reopen(int fd)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	/* where open() would ask for FD_CLOEXEC once more */
	return openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

int
spool_take(struct spool *s)
{
	int fd = spool_reopen(s->fd);

	if (fd == -1 && lseek(s->fd, 0, SEEK_SET) == 0)
		return s->fd;
	close(s->fd);
	return fd;
}

int
spool_open(struct spool *s, size_t room)
{
	s->room = s->end = (off_t)room;
	s->large = 0;
	s->fd = memfd_create("message", MFD_CLOEXEC);
	return s->fd == -1 ? -1 : 1;
}

int
spool_put(struct spool *s, char const *from, size_t n)
{
	if (!s->large && s->end + (off_t)n > SPOOL_MEMORY)
		move(s);
	if (write_at(s->fd, from, n, s->end) == -1)
		return -1;
	s->end += (off_t)n;
	return 1;
}

int
spool_front(struct spool *s, char const *lines, size_t n)
{
	off_t at = s->room - (off_t)n;

	if (at < 0) {
		errno = EMSGSIZE;
		return -1;
	}
	return write_at(s->fd, lines, n, at) == -1 ||
	    lseek(s->fd, at, SEEK_SET) == -1 ? -1 : 1;
}

int
spool_bytes(char const *s, size_t n, char const *t, size_t tn)
{
	struct spool file;

	if (spool_open(&file, 0) == -1)
		return -1;
	if (spool_put(&file, s, n) == 1 && spool_put(&file, t, tn) == 1)
		return spool_take(&file);
	close(file.fd);
	return -1;
}
