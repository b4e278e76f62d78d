#include "send/state.h"

#include <time.h>
#include <unistd.h>

#include "send/line.h"

void
state_nomem(void)
{
	line_put("alert: out of memory, sleeping...");
	line_end();
	line_flush(0);
	sleep(1);
}

static uint64_t
clock_of(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return t.tv_sec > 0 ? t.tv_sec : 0;
}

void
state_clocks(struct send *s)
{
	if (steady_look(&s->steady, clock_of(CLOCK_REALTIME),
	    clock_of(CLOCK_BOOTTIME)) == 0)
		return;
	line_put("warning: the clock has jumped; for a day the ages of "
	    "messages are counted without that");
	line_end();
}

uint64_t
state_age(struct send const *s, uint64_t birth)
{
	return steady_age(&s->steady, birth / 1000000);
}
