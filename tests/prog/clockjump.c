#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Linked to a program with --wrap=clock_gettime: the time of day is wrong by
 * as many seconds as the file "wrong" in the home directory says.
 */
int __real_clock_gettime(clockid_t, struct timespec *);
int __wrap_clock_gettime(clockid_t, struct timespec *);

int
__wrap_clock_gettime(clockid_t which, struct timespec *t)
{
	char text[32];
	int r = __real_clock_gettime(which, t), fd;
	ssize_t n;

	if (which != CLOCK_REALTIME)
		return r;
	fd = open("wrong", O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return r;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n > 0) {
		text[n] = 0;
		t->tv_sec += atol(text);
	}
	return r;
}
