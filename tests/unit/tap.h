/* tap: a unit test's report, one line a behaviour ("ok 3 - ..."). */
#ifndef TAP_H
#define TAP_H

#include <stdio.h>

static int tap_count, tap_bad;

static inline void
ok(int good, char const *what)
{
	tap_bad += !good;
	printf("%sok %d - %s\n", good ? "" : "not ", ++tap_count, what);
}

static inline int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_bad != 0;
}

#endif
