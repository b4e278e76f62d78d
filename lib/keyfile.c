/* Without skalibs: for programs with the distribution's libraries. */
#include "lib/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"

int
keyfile_warn(char const *what, char const *file, char const *why)
{
	int e = errno;

	log_start("warning", what);
	log_string("file", file);
	if (why)
		log_string("reason", why);
	else
		log_errno(e);
	log_end();
	return -1;
}

int
keyfile_no_password(char *s, int n, int writing, void *what)
{
	(void)s;
	(void)n;
	(void)writing;
	(void)what;
	return -1;
}

int
keyfile_read(int dir, char const *name, char *s, size_t max, size_t *n)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	char const *why = 0;
	struct stat st;
	ssize_t r = -1;

	if (fd == -1 || fstat(fd, &st) == -1)
		;
	else if (!S_ISREG(st.st_mode))
		why = "not a regular file";
	else if (st.st_size == 0 || (uintmax_t)st.st_size > max)
		why = "empty, or too long";
	else
		r = read(fd, s, max);
	if (r == -1)
		keyfile_warn("unable to read a key", name, why);
	else if (st.st_mode & 077)
		keyfile_warn("others may read a key", name,
		    "its mode should be 0600");
	if (fd != -1)
		close(fd);
	if (r == -1)
		return -1;
	*n = (size_t)r;
	return 1;
}
