#include "local/answered.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

#include "lib/crc32c.h"

enum { NAME = 120, LONG = 4096, DIRECTORY = O_RDONLY | O_DIRECTORY |
	O_NOFOLLOW | O_CLOEXEC };

#define PREFIX "sent."		/* the answer itself may lie beside them */

/* The sender as a file's name: letters, digits and few others; two senders
 * share one only by accident.
 */
static void
file_name(char *out, char const *sender)
{
	size_t i, n = sizeof PREFIX - 1, len = strlen(sender);
	char lower[1024];

	for (i = 0; i < len && i < sizeof lower; i++)
		lower[i] = sender[i] >= 'A' && sender[i] <= 'Z' ?
		    sender[i] + 32 : sender[i];
	len = i;
	memcpy(out, PREFIX, n);
	n += snprintf(out + n, 16, "%08lx.",
	    (unsigned long)crc32c(0, lower, len));
	for (i = 0; i < len && n < NAME - 1; i++)
		out[n++] = (lower[i] >= 'a' && lower[i] <= 'z') ||
		    (lower[i] >= '0' && lower[i] <= '9') ||
		    (lower[i] && strchr("@.-+=", lower[i])) ? lower[i] : '_';
	out[n] = 0;
}

/* Removes what is older; how many are left. */
static unsigned long
sweep(int fd, time_t oldest)
{
	int copy = openat(fd, ".", DIRECTORY);
	DIR *dir = copy == -1 ? 0 : fdopendir(copy);
	struct dirent *e;
	struct stat st;
	unsigned long left = 0;

	if (!dir) {
		if (copy != -1)
			close(copy);
		return ANSWERED_MOST;
	}
	while ((e = readdir(dir)) != 0) {
		if (strncmp(e->d_name, PREFIX, sizeof PREFIX - 1))
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime < oldest)
			unlinkat(fd, e->d_name, 0);
		else
			left++;
	}
	closedir(dir);
	return left;
}

/* The times of the last answers stay; whether there is room for this one. */
static int
room(int fd, time_t now, unsigned int seconds, unsigned int number)
{
	char text[LONG + 1], *line = text, *end;
	unsigned int count = 0;
	size_t n = allread(fd, text, LONG);

	text[n] = 0;
	for (; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (now - strtoll(line, 0, 10) < (long long)seconds)
			count++;
	}
	if (count >= number || n >= LONG - 32)
		return 0;
	n = snprintf(text, sizeof text, "%lld\n", (long long)now);
	return allwrite(fd, text, n) == n;
}

static char const *
in_dir(int dir, char const *sender, unsigned int seconds, unsigned int number)
{
	char name[NAME];
	time_t now = time(0);
	char const *why = 0;
	int fd;

	if (sweep(dir, now - (time_t)seconds) >= ANSWERED_MOST)
		return "too many have had an answer lately";
	file_name(name, sender);
	fd = openat(dir, name, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd == -1)
		return "unable to note the sender";
	if (flock(fd, LOCK_EX) == -1 || !room(fd, now, seconds, number))
		why = "the sender has had one lately";
	close(fd);
	return why;
}

char const *
answered(char const *path, char const *sender, unsigned int seconds,
    unsigned int number)
{
	char const *why;
	int dir;

	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		return "unable to make the directory";
	dir = open(path, DIRECTORY);
	if (dir == -1)
		return "unable to open the directory";
	why = in_dir(dir, sender, seconds, number);
	close(dir);
	return why;
}
