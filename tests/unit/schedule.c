#include "send/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/tap.h"

/* Loads a list of that text. */
static int
list(char const *text, struct schedule *out)
{
	char path[] = "/tmp/postern-schedule.XXXXXX";
	int fd = mkstemp(path), r = -1;

	if (fd == -1 || write(fd, text, strlen(text)) == -1)
		return -2;
	r = schedule_load(path, out);
	close(fd);
	unlink(path);
	return r;
}

int
main(void)
{
	uint64_t t = 1700000000, when = t;
	struct schedule q = { 0, { 0 } }, l = { 0, { 0 } };
	int i, grows = 1;

	ok(schedule_delay(&q, t, t, SCHEDULE_LOCAL) == 100 &&
	    schedule_delay(&q, t, t, SCHEDULE_REMOTE) == 400,
	    "a new message waits c squared seconds");
	/* qmail-send's table: 0, 400, 1600, 3600, ... after arrival */
	for (i = 1; i < 20; i++) {
		when += schedule_delay(&q, t, when, SCHEDULE_REMOTE);
		grows &= when == t + (uint64_t)i * i * 400;
	}
	ok(grows, "remote tries come at 400, 1600, 3600 ... seconds");
	ok(schedule_delay(&q, t, t + 604800, SCHEDULE_LOCAL) ==
	    787 * 787 - 604800,
	    "(sqrt(age) + c) squared, the root rounded down");
	ok(schedule_delay(&q, t, t - 86400, SCHEDULE_LOCAL) == 100,
	    "a birth in the future is now: a clock set back freezes nothing");
	ok(schedule_delay(&q, t, t + (uint64_t)10 * 365 * 86400, SCHEDULE_LOCAL)
	    == SCHEDULE_MOST, "no delay is longer than a day");
	ok(schedule_delay(&q, 0, UINT64_MAX / 2, 0) >= 1 &&
	    schedule_delay(&q, 0, UINT32_MAX, 0) >= 1, "nor is any zero");
	ok(list("# comment\n5m, 10m\n1h 90\n", &l) == 1 && l.n == 4 &&
	    l.age[0] == 300 && l.age[1] == 900 && l.age[2] == 4500 &&
	    l.age[3] == 4590, "a list of waits is read");
	ok(schedule_delay(&l, t, t, 20) == 300 &&
	    schedule_delay(&l, t, t + 300, 20) == 600 &&
	    schedule_delay(&l, t, t + 1000, 20) == 3500, "and followed");
	ok(schedule_delay(&l, t, t + 299, 20) == 601,
	    "a try just before its step is the step");
	ok(schedule_delay(&l, t, t + 4590, 20) == 90 &&
	    schedule_delay(&l, t, t + 4600, 20) == 80 &&
	    schedule_delay(&l, t, t + 604800, 20) <= 90,
	    "its last wait repeats");
	ok(list("5m 0\n", &l) == -1 && list("5x\n", &l) == -1 &&
	    list("99d\n", &l) == -1 && list("m\n", &l) == -1 && l.n == 4,
	    "a malformed one is refused and the old one stays");
	ok(schedule_load("/nonexistent/list", &l) == 0 && l.n == 0,
	    "without a file it is quadratic");
	return tap_done();
}
