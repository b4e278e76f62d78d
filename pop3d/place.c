#include "pop3d/place.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Locks that belong to the open file, not to the process: closing another
 * descriptor of it gives nothing back.  1; 0 all are taken; -1.
 */
static int
lock_one(int fd, unsigned int most)
{
	unsigned int n;

	for (n = 0; n < most; n++) {
		struct flock byte = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET,
			.l_start = n, .l_len = 1
		};

		if (fcntl(fd, F_OFD_SETLK, &byte) == 0)
			return 1;
		if (errno != EAGAIN && errno != EACCES)
			return -1;
	}
	return 0;
}

/* 1 long enough; 0 not; -1 */
static int
waited(int fd, unsigned int delay)
{
	time_t now = time(0);
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	return !st.st_size || now < st.st_mtime ||
	    now - st.st_mtime >= (time_t)delay;
}

static int
take(int fd, struct place_limits const *l, int *why)
{
	int r = l->sessions ? lock_one(fd, l->sessions) : 1;

	*why = PLACE_IN_USE;
	if (r != 1 || !l->delay)
		return r;
	r = waited(fd, l->delay);
	*why = PLACE_TOO_SOON;
	/* on a full disk nobody has to wait */
	if (r == 1 && pwrite(fd, "\n", 1, 0) == -1)
		return 1;
	return r;
}

int
place_take(int dir, struct place_limits const *l, int *why)
{
	int fd, r;

	if (!l->sessions && !l->delay)
		return 1;
	fd = openat(dir, "pop3sessions", O_RDWR | O_CREAT | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	r = take(fd, l, why);
	if (r != 1) {
		int e = errno;

		close(fd);
		errno = e;
	}
	return r;
}
