#include "send/pace.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/smtpaddress.h"

/* "domain:limit:recipients/seconds", the last two may be empty or missing.
 * 1; 0 malformed.
 */
static int
parse(char const *s, struct pace *out)
{
	uint32_t n, seconds = 0;
	size_t i;

	s += strcspn(s, ":");
	if (*s++ != ':')
		return 0;
	i = uint_scan(s, &out->limit);
	if (i && (!out->limit || out->limit > PACE_MOST))
		return 0;
	if (!i)
		out->limit = PACE_LIMIT;
	s += i;
	if (!*s)
		return 1;
	if (*s++ != ':')
		return 0;
	if (!*s)
		return 1;
	i = uint32_scan(s, &n);
	if (!i || !n || s[i] != '/' || !uint320_scan(s + i + 1, &seconds) ||
	    !seconds || seconds > 86400 || n > seconds * 1000)
		return 0;
	out->interval = seconds * 1000 / n;
	return 1;
}

static int
check(stralloc const *rules)
{
	struct pace p = { 0, 0, 0 };
	size_t i;

	for (i = 0; i < rules->len; i += strlen(rules->s + i) + 1)
		if (!parse(rules->s + i, &p)) {
			errno = EINVAL;
			return -1;
		}
	return 1;
}

int
pace_load(struct paces *p, char const **file)
{
	struct paces fresh = PACES_ZERO;
	int r;

	*file = "control/destinations";
	r = control_list(*file, &fresh.rules);
	if (r != -1)
		r = check(&fresh.rules);
	if (r != -1) {
		*file = "control/frozen";
		r = control_list(*file, &fresh.frozen);
	}
	if (r == -1) {
		stralloc_free(&fresh.rules);
		stralloc_free(&fresh.frozen);
		return -1;
	}
	stralloc_free(&p->rules);
	stralloc_free(&p->frozen);
	*p = fresh;
	return 1;
}

/* Does a rule speak of that domain: by its name, by ".suffix", or, with no
 * name, of all?
 */
static int
matches(char const *rule, char const *domain)
{
	size_t n = strcspn(rule, ":"), len = strlen(domain);

	if (!n)
		return 1;
	if (*rule == '.' && n < len)
		return strncasecmp(rule, domain + len - n, n) == 0;
	return n == len && strncasecmp(rule, domain, n) == 0;
}

void
pace_find(struct paces const *p, char const *name, int remote,
    struct pace *out)
{
	size_t n = strlen(name), at = smtpaddress_at(name, n), i;
	char const *domain = at < n ? name + at + 1 : name;

	out->limit = PACE_LIMIT;
	out->interval = 0;
	out->frozen = control_has_domain(&p->frozen, domain, strlen(domain));
	for (i = 0; remote && i < p->rules.len;
	    i += strlen(p->rules.s + i) + 1)
		if (matches(p->rules.s + i, domain)) {
			parse(p->rules.s + i, out);
			return;
		}
}
