#include "remote/deadhosts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum {
	RECORDS = 256,
	PATIENCE = 2,		/* failures in a row that are forgiven */
	FIRST = 120, MOST = 3600	/* seconds */
};

struct record {
	struct ipaddr ip;
	uint64_t last;
	uint32_t failures, zero;
};

struct file {
	int fd;
	size_t n;
	struct record r[RECORDS];
};

static uint64_t
now(void)
{
	return time(0);
}

static int
take(struct file *f, int lock)
{
	ssize_t got;

	/* root's file would be one that remote cannot use */
	if (geteuid() == 0)
		return -1;
	f->fd = open("remote/deadhosts", (lock == LOCK_EX ? O_RDWR | O_CREAT :
	    O_RDONLY) | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->fd == -1)
		return -1;
	while (flock(f->fd, lock) == -1)
		if (errno != EINTR)
			break;
	got = pread(f->fd, f->r, sizeof f->r, 0);
	f->n = got > 0 ? got / sizeof *f->r : 0;
	return 1;
}

/* How long it is left alone after so many failures. */
static uint64_t
pause_after(uint32_t failures)
{
	uint64_t t = FIRST;

	if (failures < PATIENCE)
		return 0;
	while (--failures >= PATIENCE && t < MOST)
		t *= 2;
	return t < MOST ? t : MOST;
}

/* A record of the future is of a clock that went wrong. */
static int
stale(struct record const *r, uint64_t t)
{
	return r->last > t || t - r->last > 2 * MOST;
}

static struct record *
find(struct file *f, struct ipaddr const *ip)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		if (f->r[i].failures && !memcmp(&f->r[i].ip, ip, sizeof *ip))
			return &f->r[i];
	return 0;
}

/* Its place, a free one, a new one, or the oldest. */
static struct record *
place(struct file *f, struct ipaddr const *ip, uint64_t t)
{
	struct record *r = find(f, ip), *oldest = f->r;
	size_t i;

	if (r)
		return r;
	for (i = 0; i < f->n; i++) {
		if (!f->r[i].failures || stale(&f->r[i], t))
			return &f->r[i];
		if (f->r[i].last < oldest->last)
			oldest = &f->r[i];
	}
	return f->n < RECORDS ? &f->r[f->n] : oldest;
}

int
deadhosts_skip(struct ipaddr const *ip)
{
	struct file f;
	struct record *r;
	uint64_t t = now();
	int skip;

	if (take(&f, LOCK_SH) == -1)
		return 0;
	r = find(&f, ip);
	skip = r && !stale(r, t) && t - r->last < pause_after(r->failures);
	close(f.fd);
	return skip;
}

static void
put(struct file *f, struct record *r)
{
	/* if it cannot be written, it is tried the sooner */
	if (pwrite(f->fd, r, sizeof *r, (r - f->r) * sizeof *r) == -1)
		r->failures = 0;
}

void
deadhosts_failed(struct ipaddr const *ip)
{
	struct file f;
	struct record *r;
	uint64_t t = now();

	if (take(&f, LOCK_EX) == -1)
		return;
	r = place(&f, ip, t);
	if (r == &f.r[f.n] || memcmp(&r->ip, ip, sizeof *ip) || stale(r, t))
		r->failures = 0;
	r->ip = *ip;
	r->last = t;
	r->zero = 0;
	if (r->failures < UINT32_MAX)
		r->failures++;
	put(&f, r);
	close(f.fd);
}

void
deadhosts_answered(struct ipaddr const *ip)
{
	struct file f;
	struct record *r;

	if (take(&f, LOCK_SH) == -1)
		return;
	r = find(&f, ip);
	close(f.fd);
	if (!r || take(&f, LOCK_EX) == -1)
		return;
	r = find(&f, ip);
	if (r) {
		r->failures = 0;
		put(&f, r);
	}
	close(f.fd);
}
