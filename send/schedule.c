#include "send/schedule.h"

#include <errno.h>
#include <string.h>

#include <skalibs/stralloc.h>
#include <skalibs/types.h>

#include "lib/control.h"

/* The largest n with n * n <= u. */
static uint64_t
square_root(uint64_t u)
{
	uint64_t n = 0, bit = (uint64_t)1 << 31;

	for (; bit; bit >>= 1)
		if ((n + bit) * (n + bit) <= u)
			n += bit;
	return n;
}

static uint32_t
unit(char c)
{
	switch (c) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	default:
		return 0;
	}
}

/* Adds one wait, "5m".  1; 0 it is none. */
static int
add(struct schedule *l, char const *s, size_t n)
{
	uint32_t seconds, last = l->n ? l->age[l->n - 1] : 0;
	size_t i = uint32_scan(s, &seconds);

	if (!i || i > n || l->n == SCHEDULE_STEPS || !seconds ||
	    seconds > SCHEDULE_MOST)
		return 0;
	if (i + 1 == n && unit(s[i])) {
		if (seconds > SCHEDULE_MOST / unit(s[i]))
			return 0;
		seconds *= unit(s[i]);
	} else if (i != n) {
		return 0;
	}
	l->age[l->n++] = last + seconds;
	return 1;
}

static int
add_line(struct schedule *l, char const *s)
{
	size_t n;

	for (;;) {
		s += strspn(s, " \t,");
		n = strcspn(s, " \t,");
		if (!n)
			return 1;
		if (!add(l, s, n))
			return 0;
		s += n;
	}
}

int
schedule_load(char const *file, struct schedule *out)
{
	stralloc lines = STRALLOC_ZERO;
	struct schedule l = { 0, { 0 } };
	int r = control_list(file, &lines);
	size_t i;

	for (i = 0; r == 1 && i < lines.len; i += strlen(lines.s + i) + 1)
		if (!add_line(&l, lines.s + i)) {
			r = -1;
			errno = EINVAL;
		}
	stralloc_free(&lines);
	if (r != -1)
		*out = l;
	return r;
}

/* The first age of the list behind this one. */
static uint64_t
next_age(struct schedule const *l, uint64_t age)
{
	uint32_t last = l->age[l->n - 1], step;
	unsigned int i;

	for (i = 0; i < l->n; i++)
		if (l->age[i] > age)
			return l->age[i];
	step = last - (l->n > 1 ? l->age[l->n - 2] : 0);
	return last + ((age - last) / step + 1) * step;
}

uint32_t
schedule_delay(struct schedule const *list, uint64_t birth, uint64_t now,
    unsigned int skip)
{
	uint64_t age = now > birth ? now - birth : 0;
	uint64_t n = square_root(age) + skip, delay;

	/* sqrt is rounded down: the sum may still be in the past */
	/* a try may come in the second before its step: that was the step */
	if (list->n)
		delay = next_age(list, age + (age > 0)) - age;
	else
		delay = n * n <= age ? 1 : n * n - age;
	return delay > SCHEDULE_MOST ? SCHEDULE_MOST : delay;
}
