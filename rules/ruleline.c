#include "rules/ruleline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/ipaddr.h"

static int
error(struct ruleline *r, char const *problem)
{
	r->problem = problem;
	return -1;
}

/* The first warning stays: one a line is enough. */
static void
warning(struct ruleline *r, char const *problem)
{
	if (!r->problem)
		r->problem = problem;
}

static int
add_key(struct ruleline *r, char const *s, size_t n)
{
	return stralloc_catb(&r->keys, s, n) && stralloc_0(&r->keys) ? 1 : -1;
}

/* All of s[0..n) as a decimal number; empty is 0, as for tcprules.  A number
 * too long for any use stays very large.  1, 0. */
static int
number(char const *s, size_t n, unsigned long *out)
{
	unsigned long u = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		if (u < 100000000)
			u = u * 10 + (s[i] - '0');
	}
	*out = u;
	return 1;
}

/* Is it what a client's address, or a cut of it behind a dot, looks like? */
static int
reachable4(char const *s, size_t n)
{
	char text[IPADDR_FMT];
	struct ipaddr a;
	size_t i, dots = 0;

	if (n && s[n - 1] != '.')
		return ipaddr_scan(s, n, &a) == 1;
	for (i = 0; i < n; i++)
		dots += s[i] == '.';
	if (dots < 1 || dots > 3 || n > 12)
		return 0;
	memcpy(text, s, n);
	memcpy(text + n, dots == 1 ? "0.0.0" : dots == 2 ? "0.0" : "0", 6 - 2 *
	    (dots - 1));
	return ipaddr_scan(text, strlen(text), &a) == 1;
}

static char const unreachable[] = "this address never matches a client";

/* "10.1-3.": s[dash] is the first '-'.  As tcprules expands it. */
static int
range(struct ruleline *r, char const *s, size_t n, size_t dash)
{
	unsigned long low, high;
	char text[24];
	size_t left = dash, right = dash + 1;
	stralloc key = STRALLOC_ZERO;
	int good = 1;

	while (left && s[left - 1] != '.')
		left--;
	while (right < n && s[right] != '.')
		right++;
	if (!number(s + left, dash - left, &low) ||
	    !number(s + dash + 1, right - dash - 1, &high))
		return error(r, "malformed range");
	if (left == dash || right == dash + 1)
		warning(r, "a range lacks one of its ends");
	if (high > 255) {
		warning(r, "a range ends above 255");
		high = 255;
	}
	if (low > high)
		warning(r, "an empty range");
	for (; good == 1 && low <= high; low++) {
		snprintf(text, sizeof text, "%lu", low);
		if (!stralloc_copyb(&key, s, left) ||
		    !stralloc_cats(&key, text) ||
		    !stralloc_catb(&key, s + right, n - right))
			good = -1;
		else
			good = add_key(r, key.s, key.len);
		if (good == 1 && !reachable4(key.s, key.len))
			warning(r, unreachable);
	}
	stralloc_free(&key);
	return good;
}

/* A whole number of components, as the prefix that tcpserver also knows. */
static int
whole_components(struct ruleline *r, struct ipaddr const *a,
    unsigned int parts)
{
	char text[IPADDR_FMT];
	unsigned int i;
	size_t n = 0;

	for (i = 0; i < parts; i++)
		n += ipaddr_is4(a) ?
		    snprintf(text + n, sizeof text - n, "%d.", a->b[12 + i]) :
		    snprintf(text + n, sizeof text - n, "%x:",
		    a->b[2 * i] << 8 | a->b[2 * i + 1]);
	return add_key(r, text, n);
}

static int
address(struct ruleline *r, struct ipaddr const *a)
{
	char text[IPADDR_FMT];

	return add_key(r, text, ipaddr_fmt(text, a));
}

static int
network(struct ruleline *r, struct ipaddr const *a, unsigned int bits)
{
	unsigned int all = ipaddr_is4(a) ? 32 : 128;
	unsigned int part = ipaddr_is4(a) ? 8 : 16;
	char text[IPADDR_FMT + 8];
	struct ipaddr net = *a;
	size_t n;

	ipaddr_mask(&net, bits);
	if (memcmp(&net, a, sizeof net) != 0)
		warning(r, "the address has bits set beyond the prefix length");
	if (bits == all)
		return address(r, &net);
	if (bits && bits % part == 0)
		return whole_components(r, &net, bits / part);
	n = ipaddr_fmt(text, &net);
	n += snprintf(text + n, sizeof text - n, "/%u", bits);
	r->family = ipaddr_is4(a) ? 4 : 6;
	r->bits = bits;
	return add_key(r, text, n);
}

/* "10.0.0.0/20": slash is the offset of the '/'. */
static int
cidr(struct ruleline *r, char const *s, size_t n, size_t slash)
{
	struct ipaddr a;
	unsigned long bits;
	int mapped;

	if (!ipaddr_scan(s, slash, &a))
		return error(r, "malformed address before the slash");
	mapped = ipaddr_is4(&a) && memchr(s, ':', slash);
	if (n - slash - 1 < 1 || n - slash - 1 > 3 ||
	    !number(s + slash + 1, n - slash - 1, &bits) ||
	    bits > (ipaddr_is4(&a) && !mapped ? 32 : 128) ||
	    (mapped && bits < 96))
		return error(r, "malformed prefix length");
	return network(r, &a, mapped ? bits - 96 : bits);
}

/* "2001:db8:": one to seven groups, each with its colon. */
static int
groups(struct ruleline *r, char const *s, size_t n)
{
	struct ipaddr a = { { 0 } };
	unsigned int parts = 0;
	char *end;
	size_t i = 0, len;

	for (; i < n && parts < 8; parts++, i += len + 1) {
		unsigned long u;
		char group[5] = "";

		len = strspn(s + i, "0123456789abcdefABCDEF");
		if (len < 1 || len > 4 || i + len >= n || s[i + len] != ':')
			break;
		memcpy(group, s + i, len);
		u = strtoul(group, &end, 16);
		a.b[2 * parts] = u >> 8;
		a.b[2 * parts + 1] = u & 255;
	}
	if (i < n || parts > 7)
		return error(r, "malformed IPv6 address");
	return whole_components(r, &a, parts);
}

static int
six(struct ruleline *r, char const *s, size_t n)
{
	struct ipaddr a;

	if (!ipaddr_scan(s, n, &a))
		return groups(r, s, n);
	if (s[n - 1] == ':')
		warning(r, "this is one address; for a network write its "
		    "length, as in 2001:db8::/32");
	return address(r, &a);
}

static void
check_host(struct ruleline *r, char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((s[i] >= 'A' && s[i] <= 'Z') || strchr("=@/,", s[i]))
			warning(r, unreachable);
	if (n && s[n - 1] == '.')
		warning(r, unreachable);
}

/* "=host", "=.suffix", "=", "info@=host", "info@ip"; at: offset of the
 * last '@', n if absent. */
static int
named(struct ruleline *r, char const *s, size_t n, size_t at)
{
	struct ipaddr a;

	if (s[0] == '=' && at == n) {
		check_host(r, s + 1, n - 1);
		return add_key(r, s, n);
	}
	if (at == n) {
		warning(r, unreachable);
		return add_key(r, s, n);
	}
	if (n > at + 2 && s[at + 1] == '=') {
		check_host(r, s + at + 2, n - at - 2);
		return add_key(r, s, n);
	}
	if (!ipaddr_scan(s + at + 1, n - at - 1, &a)) {
		warning(r, unreachable);
		return add_key(r, s, n);
	}
	if (!stralloc_catb(&r->keys, s, at + 1))
		return -1;
	return address(r, &a);
}

static size_t
find(char const *s, size_t n, char c)
{
	char const *p = memchr(s, c, n);

	return p ? (size_t)(p - s) : n;
}

/* s is NUL-terminated behind n. */
static int
parse_address(struct ruleline *r, char const *s, size_t n)
{
	char const *last = memrchr(s, '@', n);
	size_t at = last ? (size_t)(last - s) : n, i;

	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == 127)
			return error(r,
			    "blank or control character in the address");
	if (at < n || find(s, n, '=') < n)
		return named(r, s, n, at);
	if (find(s, n, '/') < n)
		return cidr(r, s, n, find(s, n, '/'));
	if (find(s, n, ':') < n)
		return six(r, s, n);
	if (find(s, n, '-') < n)
		return range(r, s, n, find(s, n, '-'));
	if (n && !reachable4(s, n))
		warning(r, unreachable);
	return add_key(r, s, n);
}

/* Digits s[0..n) of a calendar field. */
static int
field(char const *s, size_t n, unsigned int low, unsigned int high, int *out)
{
	unsigned long u;

	if (!number(s, n, &u) || u < low || u > high)
		return 0;
	*out = u;
	return 1;
}

/* "2026-12-01T00:00:00Z" (RFC 3339, UTC alone) or seconds since 1970. */
static int
parse_time(char const *s, size_t n, uint64_t *out)
{
	struct tm t = { 0 };
	uint64_t u = 0;
	size_t i;

	for (i = 0; i < n && i < 12 && s[i] >= '0' && s[i] <= '9'; i++)
		u = u * 10 + (s[i] - '0');
	if (i && i == n) {
		*out = u;
		return u != 0;
	}
	if (n != 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' ||
	    s[13] != ':' || s[16] != ':' || s[19] != 'Z' ||
	    !field(s, 4, 1970, 9999, &t.tm_year) ||
	    !field(s + 5, 2, 1, 12, &t.tm_mon) ||
	    !field(s + 8, 2, 1, 31, &t.tm_mday) ||
	    !field(s + 11, 2, 0, 23, &t.tm_hour) ||
	    !field(s + 14, 2, 0, 59, &t.tm_min) ||
	    !field(s + 17, 2, 0, 60, &t.tm_sec))
		return 0;
	t.tm_year -= 1900;
	t.tm_mon -= 1;
	*out = timegm(&t);
	return *out != 0;
}

/* ',NAME=' delimiter value delimiter, at s; its length, or 0. */
static size_t
parse_variable(struct ruleline *r, char const *s, size_t n)
{
	size_t equal = find(s, n, '='), end, i;

	if (equal + 2 >= n)
		return 0;
	end = equal + 2 + find(s + equal + 2, n - equal - 2, s[equal + 1]);
	if (end >= n)
		return 0;
	if (equal == 1)
		warning(r, "a variable without a name");
	for (i = 1; i < equal; i++)
		if (strchr(" \t\",'", s[i]))
			warning(r, "blank, quote or comma in the name of a "
			    "variable");
	stralloc_cats(&r->data, "+");
	stralloc_catb(&r->data, s + 1, equal);
	stralloc_catb(&r->data, s + equal + 2, end - equal - 2);
	stralloc_0(&r->data);
	return end + 1;
}

/* What follows the colon; it starts with "allow" or "deny". */
static int
parse_instructions(struct ruleline *r, char const *s, size_t n)
{
	static char const until[] = " until ";
	size_t used = *s == 'd' ? 4 : 5;

	/* no item grows: after this no append can fail */
	if (!stralloc_ready(&r->data, n + 2))
		return error(r, 0);
	if (*s == 'd')
		stralloc_catb(&r->data, "D", 2);
	while (used < n) {
		size_t more = s[used] == ',' ?
		    parse_variable(r, s + used, n - used) : 0;

		if (!more)
			break;
		used += more;
	}
	if (used == n)
		return 1;
	if (s[used] == ',')
		return error(r, "malformed variable");
	if (n - used < sizeof until ||
	    memcmp(s + used, until, sizeof until - 1) != 0)
		return error(r, "unknown text behind the instructions");
	used += sizeof until - 1;
	if (!parse_time(s + used, n - used, &r->until))
		return error(r, "malformed time: 2026-12-01T00:00:00Z or "
		    "seconds since 1970");
	return 1;
}

/* The colon between address and instructions: the first before "allow" or
 * "deny", since IPv6 addresses hold colons.  n if there is none. */
static size_t
boundary(char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] == ':' && (strncmp(s + i + 1, "allow", 5) == 0 ||
		    strncmp(s + i + 1, "deny", 4) == 0))
			return i;
	return n;
}

static int
parse(struct ruleline *r, char const *s, size_t n)
{
	size_t colon = boundary(s, n);

	if (find(s, n, ':') == n)
		return error(r, "no colon");
	if (colon == n)
		return error(r, "neither \":allow\" nor \":deny\"");
	if (parse_address(r, s, colon) == -1)
		return -1;
	return parse_instructions(r, s + colon + 1, n - colon - 1);
}

int
ruleline_parse(char const *s, size_t n, struct ruleline *r)
{
	char *line;
	int result;

	r->keys.len = r->data.len = 0;
	r->until = 0;
	r->family = 0;
	r->problem = 0;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	if (!n || *s == '#')
		return 0;
	if (n > RULELINE_MAX)
		return error(r, "line too long");
	if (memchr(s, 0, n))
		return error(r, "NUL in the line");
	if (s[n - 1] == '\r')
		return error(r, "carriage return at the end of the line");
	line = strndup(s, n);	/* the parsers look one byte ahead */
	if (!line)
		return -1;
	result = parse(r, line, n);
	free(line);
	return result;
}

void
ruleline_free(struct ruleline *r)
{
	stralloc_free(&r->keys);
	stralloc_free(&r->data);
}
