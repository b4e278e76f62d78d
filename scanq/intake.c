#include "scanq/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

#include "lib/enqueue.h"
#include "lib/limits.h"

static int
code_of(int e)
{
	return e == ENOMEM || e == EMFILE || e == ENFILE ? QUEUE_MEMORY :
	    QUEUE_WRITE;
}

static int
write_all(int fd, char const *s, size_t n)
{
	return allwrite(fd, s, n) == n;
}

static int
memory_file(void)
{
	return memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

int
intake_reopen(int fd)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	/* where open() would ask for FD_CLOEXEC once more */
	return openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

/* From memory to a file, where that can be. */
static int
spill(struct intake *i, size_t n)
{
	char const *dir = getenv("TMPDIR");
	off_t at = 0;
	ssize_t r;
	char buf[16384];
	int fd;

	fd = open(dir && *dir == '/' ? dir : "/tmp",
	    O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return 1;
	while ((size_t)at < n && (r = pread(i->fd, buf, sizeof buf, at)) > 0) {
		if (!write_all(fd, buf, (size_t)r))
			break;
		at += r;
	}
	if ((size_t)at < n) {
		close(fd);
		return 1;
	}
	close(i->fd);
	i->fd = fd;
	return 1;
}

static int
copy(struct intake *i, int from)
{
	static char buf[65536];
	size_t n = INTAKE_ROOM;
	int spilt = 0;
	ssize_t r;

	for (;;) {
		r = read(from, buf, sizeof buf);
		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		if (!spilt && n > INTAKE_MEMORY)
			spilt = spill(i, n);
		if (!write_all(i->fd, buf, (size_t)r))
			return code_of(errno);
		n += (size_t)r;
	}
	i->mapped = n;
	return r == -1 ? QUEUE_READ : 0;
}

static void
fill(char room[INTAKE_ROOM], char const *line, size_t n)
{
	memset(room, ' ', INTAKE_ROOM);
	if (n > INTAKE_ROOM - 1)
		n = INTAKE_ROOM - 1;
	memcpy(room, line, n);
	room[INTAKE_ROOM - 1] = '\n';
}

int
intake_read(struct intake *i, int fd, char const *line, size_t n)
{
	char room[INTAKE_ROOM];
	int code;

	i->readonly = -1;
	i->fd = memory_file();
	if (i->fd == -1)
		return QUEUE_MEMORY;
	fill(room, line, n);
	if (!write_all(i->fd, room, INTAKE_ROOM))
		return code_of(errno);
	code = copy(i, fd);
	if (code)
		return code;
	i->map = mmap(0, i->mapped, PROT_READ, MAP_SHARED, i->fd, 0);
	if (i->map == MAP_FAILED)
		return QUEUE_MEMORY;
	i->message = i->map + INTAKE_ROOM;
	i->size = i->mapped - INTAKE_ROOM;
	i->readonly = intake_reopen(i->fd);
	return 0;
}

int
intake_finish(struct intake *i, char const *lines, size_t n)
{
	int fd = i->readonly != -1 ? i->readonly : i->fd;
	off_t at;

	if (n > INTAKE_ROOM) {
		errno = EMSGSIZE;
		return -1;
	}
	at = (off_t)(INTAKE_ROOM - n);
	if (pwrite(i->fd, lines, n, at) != (ssize_t)n ||
	    lseek(fd, at, SEEK_SET) == -1)
		return -1;
	return fd;
}

int
intake_memory(char const *s, size_t n, char const *t, size_t tn)
{
	int fd = memory_file();

	if (fd == -1)
		return -1;
	if (write_all(fd, s, n) && write_all(fd, t, tn) &&
	    lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	close(fd);
	return -1;
}

int
intake_file(char const *s, size_t n, char const *t, size_t tn)
{
	int fd = intake_memory(s, n, t, tn), again;

	if (fd == -1)
		return -1;
	again = intake_reopen(fd);
	if (again == -1)
		return fd;
	close(fd);
	return again;
}

/* Is env[0..n) all of it: an empty record at its end?  1; 0 not yet; -1 it
 * cannot become one, *code says why.  *start: of the record that was not
 * whole yet.
 */
static int
envelope_ends(char const *env, size_t n, size_t *start, int *code)
{
	char const *nul;

	while (*start < n) {
		char const *s = env + *start;

		if (*start && !*s)
			return 1;
		*code = QUEUE_ENVELOPE;
		if (*s != (*start ? 'T' : 'F'))
			return -1;
		nul = memchr(s, 0, n - *start);
		*code = QUEUE_ADDRESS;
		if ((size_t)((nul ? nul : env + n) - s) > LIMIT_ADDRESS + 1)
			return -1;
		if (!nul)
			return 0;
		*start = (size_t)(nul + 1 - env);
	}
	return 0;
}

int
intake_envelope(int fd, stralloc *env)
{
	char buf[8192];
	size_t start = 0;
	ssize_t r;
	int ends = 0, code = 0;

	while (!ends) {
		do
			r = read(fd, buf, sizeof buf);
		while (r == -1 && errno == EINTR);
		if (r <= 0)
			return QUEUE_READ;
		if (!stralloc_catb(env, buf, (size_t)r))
			return QUEUE_MEMORY;
		if (env->len > LIMIT_ENVELOPE)
			return QUEUE_REFUSED;
		ends = envelope_ends(env->s, env->len, &start, &code);
	}
	if (ends == -1)
		return code;
	env->len = start;
	return 0;
}
