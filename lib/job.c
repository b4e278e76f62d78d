#include "lib/job.h"

#include <string.h>

#include <skalibs/types.h>

int
job_put(stralloc *out, char const *s, size_t n)
{
	return stralloc_catb(out, s, n) && stralloc_0(out) ? 1 : -1;
}

int
job_puts(stralloc *out, char const *s)
{
	return job_put(out, s, strlen(s));
}

int
job_number(stralloc *out, uint64_t u)
{
	char fmt[UINT64_FMT];

	return job_put(out, fmt, uint64_fmt(fmt, u));
}

char const *
job_field(char const *s, size_t n, size_t *pos)
{
	char const *field = s + *pos;
	char const *end = *pos < n ? memchr(field, 0, n - *pos) : 0;

	if (!end)
		return 0;
	*pos = end - s + 1;
	return field;
}

int
job_field_number(char const *s, size_t n, size_t *pos, uint64_t *out)
{
	char const *field = job_field(s, n, pos);

	return field && *field && uint640_scan(field, out);
}
