#include "local/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

enum { LOCK_SECONDS = 30 };	/* as long as qmail-local waits */

struct out {
	int fd;
	size_t used;
	char buf[8192];
};

static int
put(struct out *o, char const *s, size_t n)
{
	if (n > sizeof o->buf - o->used) {
		if (allwrite(o->fd, o->buf, o->used) < o->used)
			return -1;
		o->used = 0;
	}
	if (n > sizeof o->buf)
		return allwrite(o->fd, s, n) < n ? -1 : 1;
	memcpy(o->buf + o->used, s, n);
	o->used += n;
	return 1;
}

int
mbox_from_line(struct delivery const *d, stralloc *out)
{
	char const *sender = *d->sender ? d->sender : "MAILER-DAEMON";
	time_t now = time(0);
	char date[64];
	struct tm tm;
	size_t i;

	if (!stralloc_cats(out, "From "))
		return -1;
	for (i = 0; sender[i]; i++)
		if (!stralloc_append(out, strchr(" \t\r\n", sender[i]) ?
		    '-' : sender[i]))
			return -1;
	if (!gmtime_r(&now, &tm) || !strftime(date, sizeof date,
	    " %a %b %e %H:%M:%S %Y\n", &tm))
		return -1;
	return stralloc_cats(out, date) ? 1 : -1;
}

/* Does that line need another '>'? */
static int
from(char const *s, size_t n)
{
	while (n && *s == '>') {
		s++;
		n--;
	}
	return n >= 5 && !memcmp(s, "From ", 5);
}

static int
copy(struct delivery *d, struct out *o)
{
	char const *s;
	size_t n;
	uint64_t pos = 0;
	int r, whole = 1, start;

	for (;;) {
		start = whole;
		r = body_line(d->body, &pos, &s, &n, &whole);
		if (r != 1)
			break;
		if (start && from(s, n) && put(o, ">", 1) == -1)
			return -1;
		if (put(o, s, n) == -1)
			return -1;
	}
	if (r == -1)
		return -1;
	/* a blank line ends it, behind a last line of its own */
	return put(o, start ? "\n" : "\n\n", start ? 1 : 2);
}

static int
lock(int fd)
{
	struct timespec pause = { 0, 50 * 1000 * 1000 }, start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec >= LOCK_SECONDS)
			return 0;
		nanosleep(&pause, 0);
	}
	return 1;
}

/* What a killed delivery, or a power cut, left without a blank line must not
 * swallow the next message.
 */
static int
begin(struct out *o, off_t end)
{
	char last[2] = "\n\n";
	size_t n = end < 2 ? end : 2;

	if (pread(o->fd, last + 2 - n, n, end - n) != (ssize_t)n)
		return -1;
	if (last[1] != '\n')
		return put(o, "\n\n", 2);
	return last[0] == '\n' ? 1 : put(o, "\n", 1);
}

static int
write_all(struct delivery *d, int fd, off_t end)
{
	static struct out o;
	stralloc line = STRALLOC_ZERO;
	int good;

	o.fd = fd;
	o.used = 0;
	good = begin(&o, end) == 1 && mbox_from_line(d, &line) == 1 &&
	    put(&o, line.s, line.len) == 1 &&
	    put(&o, d->rpline.s, d->rpline.len) == 1 &&
	    put(&o, d->dtline.s, d->dtline.len) == 1 &&
	    copy(d, &o) == 1 &&
	    allwrite(fd, o.buf, o.used) == o.used &&
	    fsync(fd) == 0;
	stralloc_free(&line);
	return good ? 1 : -1;
}

static int
locked(struct delivery *d, int fd, char const *file)
{
	off_t end = lseek(fd, 0, SEEK_END);
	int e;

	if (end == -1)
		return outcome_errno(&d->outcome, "find the end of", file);
	if (write_all(d, fd, end) == 1)
		return 1;
	e = errno;
	if (ftruncate(fd, end) == -1)
		outcome_temp(&d->outcome, "Unable to truncate ", file,
		    " back to its length. ");
	errno = e;
	return outcome_errno(&d->outcome, "write", file);
}

/* O_NONBLOCK: a fifo put in its place must not hang us. */
int
mbox_deliver(struct delivery *d, char const *file)
{
	int fd = open(file, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;
	int r;

	if (fd == -1)
		return outcome_errno(&d->outcome, "open", file);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return outcome_temp(&d->outcome, "Unable to deliver to ",
		    file, ": not a regular file. (#4.2.1)\n");
	}
	r = lock(fd);
	if (r == 1)
		r = locked(d, fd, file);
	else if (r == 0)
		r = outcome_temp(&d->outcome, "File has been locked for 30 "
		    "seconds straight: ", file, ". (#4.3.0)\n");
	else
		r = outcome_errno(&d->outcome, "lock", file);
	close(fd);
	return r;
}
