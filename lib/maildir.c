#include "lib/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATH_ROOM = 4096 };

/* statfs(2) */
enum { EXT4 = 0xef53, XFS = 0x58465342 };

static int strict;

void
maildir_strict(int yes)
{
	strict = yes;
}

/* The host part of a file name: ':' starts the flags, ',' the sizes, and '/'
 * would end the name.
 */
static char const *
host(void)
{
	static char name[4 * 64 + 1];
	char raw[65];
	size_t i, n = 0;

	if (*name)
		return name;
	if (gethostname(raw, sizeof raw) == -1)
		raw[0] = 0;
	raw[sizeof raw - 1] = 0;
	for (i = 0; raw[i] && n < sizeof name - 4; i++) {
		unsigned char c = raw[i];

		if (c > ' ' && c < 0x7f && !strchr("/:,\\", c))
			name[n++] = c;
		else
			n += snprintf(name + n, 5, "\\%03o", c);
	}
	name[n] = 0;
	if (!n)
		memcpy(name, "localhost", 10);
	return name;
}

/* Opens the directory itself: with a slash behind the name, O_NOFOLLOW would
 * follow a link.
 */
static int
open_dir(char const *path)
{
	char bare[PATH_ROOM];
	size_t n = strlen(path);

	while (n > 1 && path[n-1] == '/')
		n--;
	if (n == 0 || n >= sizeof bare) {
		errno = n ? ENAMETOOLONG : ENOENT;
		return -1;
	}
	memcpy(bare, path, n);
	bare[n] = 0;
	return openat(AT_FDCWD, bare,
	    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int
close_all(struct maildir *m)
{
	int e = errno;

	if (m->fd != -1)
		close(m->fd);
	if (m->tmpdir != -1)
		close(m->tmpdir);
	if (m->newdir != -1)
		close(m->newdir);
	m->fd = m->tmpdir = m->newdir = -1;
	errno = e;
	return -1;
}

/* tmp/ needs no sync and is opened as a place only; new/ is synced. */
static int
open_both(struct maildir *m, char const *path)
{
	int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int e, dir = open_dir(path);

	if (dir == -1)
		return -1;
	m->tmpdir = openat(dir, "tmp", flags | O_PATH);
	if (m->tmpdir != -1)
		m->newdir = openat(dir, "new", flags | O_RDONLY);
	e = errno;
	close(dir);
	errno = e;
	return m->newdir == -1 ? -1 : 1;
}

/* One process delivers many messages: the counter keeps its names apart. */
static int
open_file(struct maildir *m)
{
	static unsigned long count;
	struct timeval now;
	struct stat st;
	int tries = 3;

	do {
		gettimeofday(&now, 0);
		snprintf(m->tmp, sizeof m->tmp, "%lld.M%06ldP%ldQ%lu.%.100s",
		    (long long)now.tv_sec, (long)now.tv_usec, (long)getpid(),
		    ++count, host());
		m->fd = openat(m->tmpdir, m->tmp,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	} while (m->fd == -1 && errno == EEXIST && --tries);
	if (m->fd == -1)
		return -1;
	if (fstat(m->fd, &st) == -1) {
		unlinkat(m->tmpdir, m->tmp, 0);
		return -1;
	}
	/* the host is cut so that the sizes behind it always fit NAME_MAX */
	snprintf(m->name, sizeof m->name, "%lld.M%06ldP%ldV%llXI%llX.%.100s",
	    (long long)now.tv_sec, (long)now.tv_usec, (long)getpid(),
	    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
	    host());
	return 1;
}

int
maildir_open(struct maildir *m, char const *path)
{
	m->fd = m->tmpdir = m->newdir = -1;
	m->size = m->lines = 0;
	m->used = 0;
	m->last = 0;
	if (open_both(m, path) == -1 || open_file(m) == -1)
		return close_all(m);
	return 1;
}

static int
write_all(int fd, char const *s, size_t n)
{
	while (n) {
		ssize_t r = write(fd, s, n);

		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return -1;
		s += r;
		n -= r;
	}
	return 1;
}

static int
flush(struct maildir *m)
{
	size_t n = m->used;

	m->used = 0;
	return write_all(m->fd, m->buf, n);
}

static void
count(struct maildir *m, char const *s, size_t n)
{
	char const *end = s + n, *at = s;

	m->size += n;
	for (; (at = memchr(at, '\n', end - at)); at++)
		m->lines += (at == s ? m->last : at[-1]) != '\r';
	m->last = end[-1];
}

int
maildir_put(struct maildir *m, char const *s, size_t n)
{
	if (!n)
		return 1;
	count(m, s, n);
	if (n > sizeof m->buf - m->used && flush(m) == -1)
		return -1;
	if (n > sizeof m->buf)
		return write_all(m->fd, s, n);
	memcpy(m->buf + m->used, s, n);
	m->used += n;
	return 1;
}

/* Moves the file to its name in new/, never over an existing one.  Where
 * that cannot be asked of a move (network file systems), by a link.
 */
static int
publish(struct maildir *m)
{
	if (syscall(SYS_renameat2, m->tmpdir, m->tmp, m->newdir, m->name,
	    1 /* RENAME_NOREPLACE */) == 0)
		return 1;
	if ((errno != EINVAL && errno != ENOSYS) ||
	    linkat(m->tmpdir, m->tmp, m->newdir, m->name, 0) == -1)
		return -1;
	unlinkat(m->tmpdir, m->tmp, 0);
	return 1;
}

/* Writes the contents to the disk, so that no name can get there before them:
 * where the journal keeps the order of what has happened, that is enough, and
 * the sync of the file behind its new name makes both durable at once.  1; 0
 * where that does not hold, or must not be relied on; -1 with errno.
 */
static int
write_in_order(struct maildir *m)
{
	struct statfs f;

	if (strict || fstatfs(m->fd, &f) == -1 ||
	    (f.f_type != EXT4 && f.f_type != XFS))
		return 0;
	if (sync_file_range(m->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE |
	    SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0)
		return 1;
	return errno == ENOSYS || errno == EINVAL ? 0 : -1;
}

/* Makes the file that is in tmp/ appear in new/, durably.  A failed sync is
 * never tried again: the pages may be gone.
 */
static int
appear(struct maildir *m)
{
	int e, ordered = write_in_order(m);

	if (ordered == -1 || (!ordered && fsync(m->fd) == -1) ||
	    publish(m) == -1)
		return -1;
	if (fsync(ordered ? m->fd : m->newdir) == 0)
		return 1;
	e = errno;
	unlinkat(m->newdir, m->name, 0);
	errno = e;
	return -1;
}

int
maildir_commit(struct maildir *m)
{
	size_t n = strlen(m->name);
	/* POP3 ends the last line too */
	unsigned int open = !m->size || m->last == '\n' ? 0 :
	    m->last == '\r' ? 1 : 2;

	snprintf(m->name + n, sizeof m->name - n, ",S=%llu,W=%llu",
	    (unsigned long long)m->size,
	    (unsigned long long)(m->size + m->lines + open));
	if (flush(m) == -1 || appear(m) == -1) {
		maildir_abort(m);
		return -1;
	}
	close_all(m);
	return 1;
}

void
maildir_abort(struct maildir *m)
{
	int e = errno;

	if (m->tmpdir != -1)
		unlinkat(m->tmpdir, m->tmp, 0);
	errno = e;
	close_all(m);
}
