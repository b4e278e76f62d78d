#include "queue/change.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/job.h"
#include "lib/log.h"
#include "lib/msgfile.h"
#include "queue/store.h"

static stralloc env = STRALLOC_ZERO;

/* Opens a message whose end record and envelope are sound. */
static int
open_message(uint64_t id, struct msgfile *m)
{
	char path[MSGFILE_PATH];
	char const *why;
	int fd, r, e;

	msgfile_path(path, id);
	fd = openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return -1;
	r = msgfile_read(fd, m, &env, &why);
	if (r == 1)
		return fd;
	e = r == 0 ? EBADMSG : errno;
	close(fd);
	errno = e;
	return -1;
}

static int
put_mark(int fd, struct msgfile const *m, size_t at, char c)
{
	ssize_t r = pwrite(fd, &c, 1, m->body + at);

	return r == 1 ? 0 : r == 0 ? EIO : errno;
}

/* Is at the start of a recipient's record? */
static int
is_recipient(size_t at)
{
	return at && at < env.len && !env.s[at - 1] &&
	    (env.s[at] == 'T' || env.s[at] == 'D');
}

static int
done(uint64_t id, char const *s, size_t n, size_t pos)
{
	struct msgfile m;
	uint64_t at;
	int fd = open_message(id, &m), e = 0;

	if (fd == -1)
		return errno;
	while (!e && pos < n) {
		if (!job_field_number(s, n, &pos, &at) || !is_recipient(at))
			e = EINVAL;
		else
			e = put_mark(fd, &m, at, 'D');
	}
	close(fd);
	return e;
}

static int
hold(uint64_t id, char const *letter)
{
	struct msgfile m;
	size_t pos = 0, at, n;
	char const *value;
	char c;
	int fd, e = EINVAL;

	if (strcmp(letter, "H") && strcmp(letter, "-"))
		return EINVAL;
	fd = open_message(id, &m);
	if (fd == -1)
		return errno;
	for (at = 0; msgfile_next(&env, &pos, &c, &value, &n); at = pos)
		if (c == 'h')
			e = put_mark(fd, &m, at + 1, *letter);
	close(fd);
	return e;
}

static int
remove_message(uint64_t id)
{
	char path[MSGFILE_PATH];

	msgfile_path(path, id);
	return unlink(path) == -1 ? errno : 0;
}

static int
set_aside(uint64_t id, char const *reason)
{
	char from[MSGFILE_PATH], to[MSGFILE_PATH];

	msgfile_path(from, id);
	snprintf(to, sizeof to, "bad/%llu", (unsigned long long)id);
	if (store_move(from, to) == -1)
		return errno;
	log_start("warning", "damaged message set aside in queue/bad");
	log_number("id", id);
	log_string("reason", reason);
	log_end();
	return 0;
}

int
change(char const *s, size_t n)
{
	size_t pos = 2;
	char const *field = 0;
	uint64_t id;

	if (n < 2 || s[1] != ' ' || !job_field_number(s, n, &pos, &id))
		return EINVAL;
	if (*s == 'D')
		return done(id, s, n, pos);
	if (*s != 'R')
		field = job_field(s, n, &pos);
	if (pos != n || (*s != 'R' && !field))
		return EINVAL;
	switch (*s) {
	case 'R':
		return remove_message(id);
	case 'B':
		return set_aside(id, field);
	case 'H':
		return hold(id, field);
	default:
		return EINVAL;
	}
}
