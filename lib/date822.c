#include "lib/date822.h"

#include <stdio.h>
#include <time.h>

size_t
date822(char *out, uint64_t t)
{
	static char const month[12][4] = { "Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t when = t;
	struct tm tm;

	if (!gmtime_r(&when, &tm))
		return 0;
	return snprintf(out, DATE822_LEN, "%d %s %d %02d:%02d:%02d -0000",
	    tm.tm_mday, month[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
}
