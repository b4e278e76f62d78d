#include "queue/archive.h"

#include <string.h>
#include <strings.h>

#include "lib/limits.h"
#include "lib/smtpaddress.h"

struct rule {
	int from, to;
	char const *who;
	size_t n;
	char const *address;
};

/* The last colon parts who from address: neither has one but in quotes. */
static int
parse(char const *line, struct rule *r)
{
	char const *colon;

	r->from = strncasecmp(line, "to:", 3) != 0;
	r->to = strncasecmp(line, "from:", 5) != 0;
	line += !r->from ? 3 : !r->to ? 5 : 0;
	colon = strrchr(line, ':');
	if (!colon)
		return 0;
	r->who = line;
	r->n = colon - line;
	r->address = colon + 1;
	return r->n && strlen(r->address) <= LIMIT_ADDRESS &&
	    smtpaddress_at(r->address, strlen(r->address)) <
	    strlen(r->address) && !r->address[strcspn(r->address, " \t")];
}

int
archive_check(stralloc const *lines, char const **bad)
{
	struct rule r;
	size_t i;

	for (i = 0; i < lines->len; i += strlen(lines->s + i) + 1)
		if (!parse(lines->s + i, &r)) {
			*bad = lines->s + i;
			return 0;
		}
	return 1;
}

static int
is(struct rule const *r, char const *address)
{
	size_t n = strlen(address), at = smtpaddress_at(address, n);

	if (r->n == 1 && *r->who == '*')
		return 1;
	if (smtpaddress_at(r->who, r->n) == r->n) {	/* a domain */
		if (at == n)
			return 0;
		address += at + 1;
		n -= at + 1;
	}
	return n == r->n && !strncasecmp(address, r->who, n);
}

static int
wanted(struct rule const *r, char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i += strlen(s + i) + 1)
		if ((s[i] == 'F' ? r->from : r->to) && is(r, s + i + 1))
			return 1;
	return 0;
}

static int
is_recipient(char const *address, char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i += strlen(s + i) + 1)
		if (s[i] == 'T' && strcasecmp(address, s + i + 1) == 0)
			return 1;
	return 0;
}

int
archive_extra(stralloc const *lines, char const *s, size_t n, stralloc *out)
{
	struct rule r;
	size_t i;
	int count = 0;

	for (i = 0; i < lines->len; i += strlen(lines->s + i) + 1) {
		if (!parse(lines->s + i, &r) || !wanted(&r, s, n) ||
		    is_recipient(r.address, s, n) ||
		    is_recipient(r.address, out->s, out->len))
			continue;
		if (!stralloc_append(out, 'T') ||
		    !stralloc_cats(out, r.address) || !stralloc_0(out))
			return -1;
		count++;
	}
	return count;
}
