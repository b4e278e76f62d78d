#include "send/settings.h"

#include <errno.h>

#include "lib/control.h"
#include "send/dest.h"
#include "send/line.h"

enum {
	MOST_CONCURRENT = 1000,
	BOUNCES = 1000		/* an hour to one address */
};

/* A number of control/; the default where the file holds none. */
static unsigned int
number(char const *file, unsigned int value, unsigned int most)
{
	if (control_uint(file, &value) == -1)
		line_warning(file, errno);
	return value > most ? most : value;
}

static void
load_paces(struct paces *p)
{
	char const *file;

	if (pace_load(p, &file) == 1)
		return;
	line_put("warning: ");
	line_put(file);
	line_put(" stays as it was");
	line_errno(errno);
	line_end();
}

int
settings_load(struct send *s)
{
	s->channel[LOCAL].limit = number("control/concurrencylocal", 10,
	    MOST_CONCURRENT);
	s->channel[REMOTE].limit = number("control/concurrencyremote", 20,
	    MOST_CONCURRENT);
	s->lifetime = number("control/queuelifetime", SCHEDULE_LIFETIME,
	    UINT32_MAX);
	s->delaynotice = number("control/delaynotice", 0, UINT32_MAX);
	s->bouncelimit = number("control/bouncelimit", BOUNCES, UINT32_MAX);
	if (schedule_load("control/retryschedule", &s->schedule) == -1)
		line_warning("control/retryschedule stays as it was", errno);
	load_paces(&s->paces);
	return route_load(&s->route);
}

void
settings_reload(struct send *s)
{
	if (settings_load(s) == -1) {
		line_put("warning: unable to reread ");
		line_put(s->route.file);
		line_put(", the old tables stay");
		line_errno(errno);
		line_end();
	}
	dest_reload(s);
}
