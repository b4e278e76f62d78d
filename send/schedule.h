/* schedule: when a delivery that failed for now is tried again.
 *
 * qmail-send's schedule: birth + (sqrt(age) + skip)^2, quadratic back-off,
 * with a skip of 10 for local and 20 for remote recipients; or the waits that
 * control/retryschedule lists.  Answered as a delay, which the caller counts
 * on the monotonic clock: a wall clock that jumps moves no retry that is
 * already planned.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

enum {
	SCHEDULE_LOCAL = 10,
	SCHEDULE_REMOTE = 20,
	SCHEDULE_MOST = 86400,	/* no delay is longer, whatever the clock */
	SCHEDULE_LIFETIME = 604800,
	SCHEDULE_STEPS = 100	/* of a list */
};

/* Ages at which a message is tried; behind the last one its distance to the
 * one before repeats.
 */
struct schedule {
	unsigned int n;		/* 0: quadratic */
	uint32_t age[SCHEDULE_STEPS];
};

/* Reads a list of waits, "300", "5m", "2h", "1d", any number of them on each
 * line.  1; 0 no such file, or it is empty: quadratic; -1 with errno, EINVAL:
 * not such a list.  *out is untouched after -1.
 */
extern int schedule_load(char const *file, struct schedule *out);

/* Seconds from now until the next try of a message that arrived at birth
 * (seconds since 1970, both).  A birth in the future counts as now.
 */
extern uint32_t schedule_delay(struct schedule const *list, uint64_t birth,
    uint64_t now, unsigned int skip);

#endif
