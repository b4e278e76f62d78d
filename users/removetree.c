#include "users/removetree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { DEEPEST = 64 };

static int
empty(int at, char const *name, int depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	DIR *dir = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;
	int r = 1;

	if (!dir) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	while (r == 1 && (e = readdir(dir)) != 0) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(fd, e->d_name, 0) != -1 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM)
			r = -1;
		else if (depth == 0) {
			errno = ELOOP;
			r = -1;
		} else
			r = empty(fd, e->d_name, depth - 1);
		if (r == 1 && unlinkat(fd, e->d_name, AT_REMOVEDIR) == -1)
			r = -1;
	}
	closedir(dir);
	return r;
}

int
removetree(int at, char const *name)
{
	if (unlinkat(at, name, 0) != -1 || errno == ENOENT)
		return 1;
	if (empty(at, name, DEEPEST) == -1)
		return -1;
	return unlinkat(at, name, AT_REMOVEDIR) == -1 ? -1 : 1;
}
