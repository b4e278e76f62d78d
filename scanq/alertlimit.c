#include "scanq/alertlimit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "lib/date822.h"

#define STATE "scan/alerts"

enum { HOUR = 3600 };

struct state {
	uint64_t hour;
	unsigned int sent, kept;
	stralloc lines;
};

/* "HOUR SENT KEPT" LF lines.  What is damaged counts as nothing. */
static void
parse(struct state *st, stralloc *s)
{
	size_t n = 0, k;

	if (!stralloc_0(s))
		return;
	k = uint64_scan(s->s, &st->hour);
	n = k;
	if (k && s->s[n] == ' ' && (k = uint_scan(s->s + n + 1, &st->sent)))
		n += k + 1;
	else
		return;
	if (s->s[n] == ' ' && (k = uint_scan(s->s + n + 1, &st->kept)))
		n += k + 1;
	if (!k || s->s[n] != '\n') {
		st->sent = st->kept = 0;
		return;
	}
	n++;
	stralloc_copyb(&st->lines, s->s + n, s->len - 1 - n);
}

static int
load(struct state *st)
{
	stralloc s = STRALLOC_ZERO;
	/* whatever lies there, this does not wait */
	int fd = open(STATE, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

	if (fd == -1)
		return errno == ENOENT ? 1 : -1;
	r = slurp(&s, fd) ? 1 : -1;
	close(fd);
	if (r == 1)
		parse(st, &s);
	stralloc_free(&s);
	return r;
}

static int
save(struct state const *st)
{
	char name[40], head[80];
	int n, fd, r = -1;

	snprintf(name, sizeof name, STATE ".%lu", (unsigned long)getpid());
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	n = snprintf(head, sizeof head, "%llu %u %u\n",
	    (unsigned long long)st->hour, st->sent, st->kept);
	if (allwrite(fd, head, (size_t)n) == (size_t)n &&
	    allwrite(fd, st->lines.s, st->lines.len) == st->lines.len)
		r = rename(name, STATE) == -1 ? -1 : 1;
	if (r == -1)
		unlink(name);
	close(fd);
	return r;
}

static int
tell(struct state *st, stralloc *digest)
{
	char text[160], date[DATE822_LEN + 1];

	date[date822(date, st->hour * HOUR)] = 0;
	snprintf(text, sizeof text, "In the hour from %s on, no alert was "
	    "sent for %u more:\n\n", date, st->kept);
	return stralloc_cats(digest, text) &&
	    stralloc_catb(digest, st->lines.s, st->lines.len) ? 1 : -1;
}

static int
keep(struct state *st, char const *line, size_t n)
{
	size_t i;

	if (st->kept++ >= ALERTLIMIT_LINES)
		return 1;
	if (n > 300)
		n = 300;
	if (!stralloc_catb(&st->lines, line, n) ||
	    !stralloc_append(&st->lines, '\n'))
		return -1;
	for (i = st->lines.len - 1 - n; i < st->lines.len - 1; i++)
		if (st->lines.s[i] < 32 || st->lines.s[i] > 126)
			st->lines.s[i] = '?';
	return 1;
}

static int
decide(unsigned int most, uint64_t now, char const *line, size_t n,
    stralloc *digest)
{
	struct state st = { now / HOUR, 0, 0, STRALLOC_ZERO };
	int r = load(&st), may = 0;

	if (r == 1 && st.hour != now / HOUR) {
		if (st.kept)
			r = tell(&st, digest);
		st.hour = now / HOUR;
		st.sent = st.kept = 0;
		st.lines.len = 0;
	}
	if (r == 1 && (may = st.sent < most) != 0)
		st.sent++;
	else if (r == 1)
		r = keep(&st, line, n);
	if (r == 1)
		r = save(&st);
	stralloc_free(&st.lines);
	return r == 1 ? may : -1;
}

int
alertlimit(unsigned int most, uint64_t now, char const *line, size_t n,
    stralloc *digest)
{
	int lock = open("scan/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r;

	if (lock == -1)
		return -1;
	do
		r = flock(lock, LOCK_EX);
	while (r == -1 && errno == EINTR);
	if (r == 0)
		r = decide(most, now, line, n, digest);
	close(lock);
	return r;
}
