#include "tools/wildmat.h"

static int
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : (unsigned char)c;
}

/* One class, p behind its '['; *end behind its ']'.  1 c is of it, 0 not; -1
 * it has no end. */
static int
class_has(char const *p, char c, char const **end)
{
	int not = *p == '^' || *p == '!', found = 0;
	char const *first = p += not;

	for (; *p && (*p != ']' || p == first); p++) {
		int from, to;

		if (*p == '\\' && p[1])
			p++;
		from = to = lower(*p);
		if (p[1] == '-' && p[2] && p[2] != ']') {
			to = lower(p[2]);
			p += 2;
		}
		found |= lower(c) >= from && lower(c) <= to;
	}
	if (!*p)
		return -1;
	*end = p + 1;
	return found != not;
}

/* Does the pattern's next item match c?  *next: behind it. */
static int
one(char const *p, char c, char const **next)
{
	int r;

	*next = p + 1;
	if (*p == '?')
		return 1;
	if (*p == '[') {
		r = class_has(p + 1, c, next);
		if (r != -1)
			return r;
		*next = p + 1;
	} else if (*p == '\\' && p[1]) {
		*next = p + 2;
		return lower(p[1]) == lower(c);
	}
	return lower(*p) == lower(c);
}

int
wildmat(char const *text, char const *pattern)
{
	char const *star = 0, *back = 0, *next;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			back = text;
		} else if (*pattern && one(pattern, *text, &next)) {
			pattern = next;
			text++;
		} else if (star) {
			pattern = star;
			text = ++back;
		} else {
			return 0;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
