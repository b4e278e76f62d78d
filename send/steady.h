/* steady: the time of day for the ages of messages, safe from a clock that
 * jumps.  It follows the wall clock as long as that goes like one; a jump of
 * more than an hour is believed only after a day, so that setting a clock
 * wrong and right again makes no message expire.
 */
#ifndef STEADY_H
#define STEADY_H

#include <stdint.h>

enum {
	STEADY_JUMP = 3600,	/* seconds at once */
	STEADY_BELIEVE = 86400
};

struct steady {
	int set;
	int64_t offset;		/* of our time to the running clock */
	uint64_t since;		/* running seconds; 0: both clocks agree */
	uint64_t wall, now;	/* of the last look: the wall's, ours */
};

/* wall: seconds since 1970; running: of a clock that nobody sets, counting
 * sleep.  1 the wall clock has just jumped; 0.
 */
extern int steady_look(struct steady *s, uint64_t wall, uint64_t running);

/* How old what was born at that second of the wall clock is, as of the last
 * look.  Of what is written while the clocks differ nobody knows by which:
 * the younger age counts.
 */
extern uint64_t steady_age(struct steady const *s, uint64_t birth);

#endif
