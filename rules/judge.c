#include "rules/judge.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <skalibs/types.h>

#include "rules/connlog.h"

/* 1 *r is the rule; 0 no rule decides; -1 the rules cannot be read */
static int
consult(struct judge *g, struct connection const *c, struct rule *r)
{
	char ip[IPADDR_FMT];
	struct rule_client who = { ip, 0, 0 };
	int found;

	if (!g->rules.path)
		return 0;
	found = rulesfile_refresh(&g->rules);
	if (found == 0)
		return g->open_without_rules ? 0 : -1;
	if (found == -1)
		return -1;
	ipaddr_fmt(ip, &c->remote);
	return rule_find(&g->rules.cdb, &who, time(0), r);
}

/* The value of the variable s if it has that name; else 0. */
static char const *
value(char const *s, char const *name)
{
	size_t n = strlen(name);

	return strncmp(s, name, n) == 0 && s[n] == '=' ? s + n + 1 : 0;
}

/* 1, or 0: it has that name and is malformed */
static int
take_number(char const *s, char const *name, unsigned int *out)
{
	char const *v = value(s, name);
	unsigned int u;

	if (!v)
		return 1;
	if (!uint0_scan(v, &u) || u > 100000)
		return 0;
	*out = u;
	return 1;
}

static int
take_rate(char const *s, char const *name, struct peers_rate *out)
{
	char const *v = value(s, name);

	return !v || peers_scan_rate(v, out);
}

static void
take_limits(struct judgement *j, uint64_t now)
{
	struct peers_limits *l = &j->limits;
	char const *s;
	size_t pos = 0;

	while (rule_variable(&j->rule, &pos, &s)) {
		if (take_number(s, "MAXPERIP", &l->address) &&
		    take_number(s, "MAXPERNET", &l->network) &&
		    take_rate(s, "MAXRATEIP", &l->address_rate) &&
		    take_rate(s, "MAXRATENET", &l->network_rate) &&
		    take_number(s, "GREETDELAY", &j->greet_delay))
			continue;
		errno = EINVAL;
		connlog_trouble(now, "use a rule's ", s);
	}
}

int
judge_client(struct judge *g, struct connection const *c, uint64_t now,
    struct judgement *out)
{
	int r = consult(g, c, &out->rule);

	if (r == -1) {
		connlog_trouble(now, "read ", g->rules.path);
		return -1;
	}
	out->ruled = r;
	out->limits = g->limits;
	out->greet_delay = g->greet_delay;
	if (r && out->rule.deny && !g->limits_only)
		return 0;
	if (r)
		take_limits(out, now);
	if (g->limits_only)
		out->ruled = 0;
	return 1;
}
