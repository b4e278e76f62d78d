#include <string.h>

#include "lib/job.h"
#include "tests/unit/tap.h"

int
main(void)
{
	stralloc sa = STRALLOC_ZERO;
	size_t pos = 0;
	uint64_t u = 0;
	char const *s;

	ok(job_number(&sa, UINT64_MAX) == 1 && job_puts(&sa, "") == 1 &&
	    job_put(&sa, "abc", 2) == 1 && job_puts(&sa, "9x") == 1,
	    "fields written");
	ok(job_field_number(sa.s, sa.len, &pos, &u) == 1 && u == UINT64_MAX,
	    "the largest number");
	ok((s = job_field(sa.s, sa.len, &pos)) && !*s, "an empty field");
	ok((s = job_field(sa.s, sa.len, &pos)) && !strcmp(s, "ab"),
	    "a part of a string");
	ok(job_field_number(sa.s, sa.len, &pos, &u) == 0, "not a number");
	ok(job_field(sa.s, sa.len, &pos) == 0, "none is left");
	pos = 0;
	ok(job_field("abc", 3, &pos) == 0 && pos == 0, "a field without NUL");
	ok(job_field_number("\0", 1, &pos, &u) == 0, "an empty number");
	pos = 0;
	ok(job_field_number("-1\0", 3, &pos, &u) == 0, "a negative number");
	pos = 0;
	ok(job_field_number("99999999999999999999\0", 21, &pos, &u) == 0,
	    "a number too large");
	return tap_done();
}
