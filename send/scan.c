#include "send/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/msgfile.h"

enum { PAGE = 4096 };

int
scan_open(struct scan *s, int queue)
{
	struct stat st;

	s->queue = queue;
	s->dir = 0;
	s->nn = 0;
	s->first = 1;
	s->again = 0;
	s->held = 0;
	/* for writing too: then it has no end between two writers */
	s->trigger = openat(queue, "trigger", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (s->trigger == -1 || fstat(s->trigger, &st) == -1)
		return -1;
	if (!S_ISFIFO(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	return 1;
}

int
scan_busy(struct scan const *s)
{
	return s->nn < MSGFILE_SPLIT;
}

static int
next_dir(struct scan *s)
{
	if (s->dir)
		closedir(s->dir);
	s->dir = 0;
	s->nn++;
	if (s->nn == MSGFILE_SPLIT) {
		s->first = 0;
		if (s->again)
			s->nn = 0;
		s->again = 0;
	}
	return scan_busy(s);
}

static int
open_dir(struct scan *s, char const *path)
{
	int fd = openat(s->queue, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);

	if (fd == -1)
		return -1;
	s->dir = fdopendir(fd);
	if (!s->dir)
		close(fd);
	return s->dir ? 1 : -1;
}

int
scan_slice(struct scan *s, unsigned int max, scan_found *found, void *ctx)
{
	struct dirent *e;
	uint64_t id;

	if (!scan_busy(s))
		return 0;
	if (!s->dir) {
		char path[MSGFILE_PATH];

		snprintf(path, sizeof path, "mess/%02u", s->nn);
		if (open_dir(s, path) == -1) {
			int why = errno;

			next_dir(s);
			errno = why;
			return -1;
		}
	}
	for (; max; max--) {
		errno = 0;
		e = readdir(s->dir);
		if (!e) {
			int trouble = errno;

			next_dir(s);
			errno = trouble;
			return trouble ? -1 : scan_busy(s);
		}
		if (msgfile_id(e->d_name, strlen(e->d_name), &id) == 1 &&
		    found(ctx, id) == 0)
			break;
	}
	return 1;
}

void
scan_again(struct scan *s)
{
	if (scan_busy(s))
		s->again = 1;
	else
		s->nn = 0;
}

/* Was the fifo so full, before got bytes were read, that ids may have been
 * lost?  The smallest fifo is a page: below half of one there is no need to
 * ask.
 */
static int
overflowed(int fd, ssize_t got)
{
	int n, room;

	if (got < PAGE / 2)
		return 0;
	room = fcntl(fd, F_GETPIPE_SZ);
	return room > 0 && ioctl(fd, FIONREAD, &n) == 0 && got + n >= room / 2;
}

void
scan_trigger(struct scan *s, scan_found *found, void *ctx)
{
	char buf[sizeof s->partial + PAGE], *lf;
	size_t len = s->held, at = 0;
	ssize_t r;
	uint64_t id;

	memcpy(buf, s->partial, len);
	r = read(s->trigger, buf + len, PAGE);
	if (r <= 0)
		return;
	if (overflowed(s->trigger, r))
		scan_again(s);
	len += r;
	while ((lf = memchr(buf + at, '\n', len - at))) {
		if (lf - (buf + at) == 1 && buf[at] == '0')
			scan_again(s);
		else if (msgfile_id(buf + at, lf - (buf + at), &id) == 1)
			found(ctx, id);
		at = lf - buf + 1;
	}
	/* too long for an id: garbage, of which the end is garbage too */
	s->held = len - at < sizeof s->partial ? len - at : 0;
	memcpy(s->partial, buf + at, s->held);
}
