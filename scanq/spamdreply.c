#include "scanq/spamdreply.h"

#include <string.h>
#include <strings.h>

enum { DIGITS = 6 };	/* of a score, before the point and behind it */

int
spamdreply_score(char const *s, size_t n, long *out)
{
	int negative = n && *s == '-', after = -1, before = 0;
	size_t i = negative ? 1 : 0;
	long v = 0;

	for (; i < n; i++) {
		if (s[i] == '.' && after == -1 && before) {
			after = 0;
			continue;
		}
		if (s[i] < '0' || s[i] > '9')
			return 0;
		if (after == -1 ? ++before > DIGITS : ++after > DIGITS)
			return 0;
		if (after < 3)
			v = v * 10 + (s[i] - '0');
	}
	if (!before || !after)
		return 0;
	*out = (negative ? -v : v) * (after == -1 ? 100 : after == 1 ? 10 : 1);
	return 1;
}

static int
starts(char const *s, size_t n, char const *with)
{
	size_t k = strlen(with);

	return n >= k && strncasecmp(s, with, k) == 0;
}

/* "True ; 7.3 / 5.0" */
static int
opinion(char const *s, size_t n, struct spamdreply *r)
{
	char const *semicolon = memmem(s, n, " ; ", 3), *slash;
	size_t k;

	if (!semicolon)
		return 0;
	k = (size_t)(semicolon - s);
	if ((k == 4 && starts(s, k, "true")) || (k == 3 && starts(s, k, "yes")))
		r->spam = 1;
	else if ((k == 5 && starts(s, k, "false")) ||
	    (k == 2 && starts(s, k, "no")))
		r->spam = 0;
	else
		return 0;
	s = semicolon + 3;
	n -= k + 3;
	slash = memmem(s, n, " / ", 3);
	if (!slash)
		return 0;
	k = (size_t)(slash - s);
	return spamdreply_score(s, k, &r->score) &&
	    spamdreply_score(slash + 3, n - k - 3, &r->threshold);
}

int
spamdreply(char const *s, size_t n, struct spamdreply *out)
{
	struct spamdreply r;
	char const *end;
	size_t k;
	int first = 1, found = 0;

	while (n) {
		end = memmem(s, n, "\r\n", 2);
		if (!end)
			return 0;
		k = (size_t)(end - s);
		if (first && (k != 17 || memcmp(s, "SPAMD/1.", 8) ||
		    s[8] < '0' || s[8] > '9' ||
		    memcmp(s + 9, " 0 EX_OK", 8)))
			return 0;
		if (!first && !k)
			break;
		if (!first && starts(s, k, "Spam: ") && (found++ ||
		    !opinion(s + 6, k - 6, &r)))
			return 0;
		first = 0;
		s += k + 2;
		n -= k + 2;
	}
	/* the empty line behind the fields must be there */
	if (!n || found != 1)
		return 0;
	*out = r;
	return 1;
}
