#include "send/steady.h"

#include "tests/unit/tap.h"

enum { DAY = 86400 };

int
main(void)
{
	struct steady s = { 0, 0, 0, 0, 0 };
	uint64_t t = 1700000000;

	ok(steady_look(&s, t, 100) == 0 && steady_age(&s, t - 50) == 50,
	    "starts with the wall clock");
	ok(steady_look(&s, t + 610, 700) == 0 && steady_age(&s, t) == 610,
	    "follows small corrections");
	ok(steady_look(&s, t + 600 + 8 * DAY, 700) == 1 &&
	    steady_age(&s, t) == 610, "a jump forward makes nothing old");
	ok(steady_look(&s, t + 601 + 8 * DAY, 701) == 0,
	    "and is told once");
	ok(steady_age(&s, t + 8 * DAY) == 0,
	    "what arrives after it is young");
	ok(steady_look(&s, t + 700, 800) == 0 && steady_age(&s, t) == 700 &&
	    steady_look(&s, t + 800, 900) == 0, "it may jump back");
	ok(steady_look(&s, t - 8 * DAY, 1000) == 1 &&
	    steady_age(&s, t - 8 * DAY) == 0,
	    "after a jump back new messages are not old");
	ok(steady_look(&s, t - 7 * DAY, 1000 + DAY) == 0 &&
	    steady_age(&s, t - 7 * DAY - 10) == 10 &&
	    steady_age(&s, t) == 0, "after a day it is believed");
	return tap_done();
}
