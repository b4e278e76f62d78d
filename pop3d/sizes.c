#include "pop3d/sizes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/buffer.h>
#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>
#include <skalibs/types.h>

#define FILE_NAME "pop3sizes"

enum { MOST = 67108864 };	/* bytes: some 800,000 messages */

static int
read_all(int dir, stralloc *out)
{
	int fd = openat(dir, FILE_NAME,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd == -1)
		return 0;
	r = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MOST &&
	    slurp(out, fd) && stralloc_0(out);
	close(fd);
	return r;
}

/* A line, NUL-terminated: its message is searched from *i on. */
static void
take_line(struct maildrop *d, char const *line, size_t *i)
{
	uint64_t size;
	size_t n = uint64_scan(line, &size);
	int c = 1;

	if (!n || line[n] != ' ' || size >= MAILDROP_UNKNOWN)
		return;
	line += n + 1;
	while (*i < d->count && (c = maildrop_order(d, *i, line)) < 0)
		++*i;
	if (*i < d->count && c == 0 && d->msg[*i].size == MAILDROP_UNKNOWN)
		d->msg[*i].size = size;
}

void
sizes_load(struct maildrop *d)
{
	stralloc text = STRALLOC_ZERO;
	size_t pos, n, i = 0;

	if (read_all(d->dir, &text))
		for (pos = 0; pos + 1 < text.len; pos += n + 1) {
			n = strcspn(text.s + pos, "\n");
			text.s[pos + n] = 0;
			take_line(d, text.s + pos, &i);
		}
	stralloc_free(&text);
}

static int
put_line(buffer *b, struct maildrop const *d, size_t i)
{
	char const *name = d->names.s + d->msg[i].name;
	char size[UINT64_FMT + 1];
	size_t n = uint64_fmt(size, d->msg[i].size);

	size[n++] = ' ';
	return buffer_put(b, size, n) >= 0 &&
	    buffer_put(b, name, strcspn(name, ":")) >= 0 &&
	    buffer_put(b, "\n", 1) >= 0;
}

static int
put_all(int fd, struct maildrop const *d)
{
	char room[8192];
	buffer b = BUFFER_INIT(&buffer_write, fd, room, sizeof room);
	size_t i;

	for (i = 0; i < d->count; i++) {
		struct mailmsg const *m = d->msg + i;

		if (!m->named && !m->deleted && m->size != MAILDROP_UNKNOWN &&
		    !strchr(d->names.s + m->name, '\n') &&
		    !put_line(&b, d, i))
			return 0;
	}
	return buffer_flush(&b);
}

/* Made in tmp/ and moved.  Not synced: it can be counted again. */
int
sizes_save(struct maildrop const *d)
{
	char name[100];
	int e, fd;

	snprintf(name, sizeof name, "tmp/%lld.P%ld" FILE_NAME,
	    (long long)time(0), (long)getpid());
	fd = openat(d->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if (put_all(fd, d) && renameat(d->dir, name, d->dir, FILE_NAME) == 0) {
		close(fd);
		return 1;
	}
	e = errno;
	close(fd);
	unlinkat(d->dir, name, 0);
	errno = e;
	return -1;
}
