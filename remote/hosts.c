#include "remote/hosts.h"

#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/random.h>
#include <skalibs/types.h>

#include "lib/resolve.h"
#include "remote/tls.h"
#include "remote/tlsa.h"

enum {
	EXCHANGERS = 64,	/* of a domain that are looked at */
	ASKED = HOSTS_NAMES,	/* and looked up, the best ones */
	ADDRESSES = 8		/* of one of them, and family, that are used */
};

struct exchanger {
	unsigned int preference;
	char name[HOSTS_NAME];
	char base[HOSTS_NAME];	/* where its CNAME leads */
	int insecure;		/* DNSSEC does not vouch for its addresses */
	struct ipaddr ip[2][ADDRESSES]; /* IPv4; IPv6 */
	size_t n[2];
};

struct search {
	struct settings const *settings;
	struct smtproute const *route;
	char const *domain;
	struct report *report;
	struct resolve names;
	struct exchanger at[EXCHANGERS];
	size_t n;
	int secure;		/* DNSSEC vouches for the list */
	int failed;		/* some question has no answer for now */
};

/* Text with a foreign name in it: before, name, after. */
static void
say(struct report *p, char letter, char const *before, char const *name,
    char const *after)
{
	stralloc s = STRALLOC_ZERO;

	report_name(&s, name, strlen(name));
	if (stralloc_0(&s))
		report_set(p, letter, (char const *const []){
		    before, s.s, after, 0 });
	else
		report_temp(p, "Out of memory. (#4.3.0)\n");
	stralloc_free(&s);
}

static int
no_host(struct search *s, char const *name)
{
	if (s->route->relay_len)	/* the fault is ours */
		say(s->report, 'Z', "Sorry, I couldn't find any host named ",
		    name, ", which control/smtproutes names. (#4.3.5)\n");
	else
		say(s->report, 'D', "Sorry, I couldn't find any host named ",
		    name, ". (#5.1.2)\n");
	return 0;
}

static int
dns_trouble(struct search *s, char const *name, char const *detail)
{
	stralloc t = STRALLOC_ZERO;

	if (stralloc_cats(&t, ": ") && stralloc_cats(&t, detail) &&
	    stralloc_cats(&t, ".\n") && stralloc_0(&t))
		/* qmail-remote's words, which tools know */
		say(s->report, 'Z', "CNAME lookup failed temporarily. "
		    "(#4.4.3)\nNo answer from DNS about ", name, t.s);
	else
		report_temp(s->report, "Out of memory. (#4.3.0)\n");
	stralloc_free(&t);
	return 0;
}

static int
add(struct search *s, unsigned int preference, char const *name, size_t n)
{
	struct exchanger *x = &s->at[s->n];

	if (s->n == EXCHANGERS || n >= sizeof x->name)
		return 0;
	s->n++;
	x->preference = preference;
	memcpy(x->name, name, n);
	x->name[n] = 0;
	memcpy(x->base, x->name, n + 1);
	x->insecure = 0;
	x->n[0] = x->n[1] = 0;
	return 1;
}

static int
by_preference(void const *a, void const *b)
{
	struct exchanger const *x = a, *y = b;

	return x->preference < y->preference ? -1 :
	    x->preference > y->preference;
}

/* Equals come in any order: stable, from the bottom up. */
static void
sort(struct search *s)
{
	struct exchanger tmp;
	size_t i, j;

	random_unsort((char *)s->at, s->n, sizeof *s->at);
	for (i = 1; i < s->n; i++) {
		tmp = s->at[i];
		for (j = i; j && by_preference(&tmp, &s->at[j-1]) < 0; j--)
			s->at[j] = s->at[j-1];
		s->at[j] = tmp;
	}
	if (s->n > ASKED)
		s->n = ASKED;
}

/* Takes "preference:name" values.  How many said "." alone: RFC 7505. */
static size_t
take_exchangers(struct search *s, struct answer *a)
{
	size_t null = 0, n;
	unsigned int preference;
	char *v;

	while ((v = resolve_value(a))) {
		n = uint_scan(v, &preference);
		if (!n || v[n] != ':')
			continue;
		v += n + 1;
		if (!strcmp(v, "."))
			null++;
		else if (resolve_valid(v, strlen(v)))
			add(s, preference, v, strlen(v));
	}
	return null;
}

/* 1; 0 said why not */
static int
find_exchangers(struct search *s)
{
	struct answer a;
	size_t null;

	if (resolve_ask(&s->names, "mx", "mx", s->domain) == -1 ||
	    resolve_answer(&s->names, &a) == -1)
		return dns_trouble(s, s->domain, "no dnsq");
	s->secure = a.secure;
	if (!strcmp(a.result, "nxdomain"))
		return no_host(s, s->domain);
	if (!strcmp(a.result, "nodata")) {
		add(s, 0, s->domain, strlen(s->domain));
		return 1;
	}
	if (strcmp(a.result, "answer"))
		return dns_trouble(s, s->domain, !strcmp(a.detail, "-") ?
		    a.result : a.detail);
	null = take_exchangers(s, &a);
	if (s->n) {
		sort(s);
		return 1;
	}
	if (null)
		say(s->report, 'D', "556 Sorry, ", s->domain,
		    " takes no mail: it says so in DNS. (#5.1.10)\n");
	else
		report_perm(s->report, "Sorry, I couldn't find a mail "
		    "exchanger or IP address. (#5.4.4)\n");
	return 0;
}

/* Which families to ask for. */
static int
wanted(struct search const *s, int six)
{
	return !(s->route->policy &
	    (six ? SMTPROUTES_IPV4 : SMTPROUTES_IPV6));
}

static int
ask_addresses(struct search *s)
{
	char tag[UINT_FMT + 1];
	size_t i;
	int six, asked = 0;

	for (i = 0; i < s->n; i++)
		for (six = 0; six < 2; six++) {
			if (!wanted(s, six))
				continue;
			tag[uint_fmt(tag, i * 2 + six)] = 0;
			if (resolve_ask(&s->names, tag, six ? "aaaa" : "a",
			    s->at[i].name) == -1)
				return -1;
			asked++;
		}
	return asked;
}

static void
take_addresses(struct search *s, struct answer *a)
{
	unsigned int i;
	char *v;
	struct exchanger *x;

	if (!uint0_scan(a->tag, &i) || i / 2 >= s->n)
		return;
	x = &s->at[i / 2];
	if (strcmp(a->result, "answer"))
		s->failed |= strcmp(a->result, "nodata") &&
		    strcmp(a->result, "nxdomain");
	else {
		x->insecure |= !a->secure;
		if (resolve_valid(a->detail, strlen(a->detail)))
			memcpy(x->base, a->detail, strlen(a->detail) + 1);
	}
	while ((v = resolve_value(a)) && x->n[i % 2] < ADDRESSES)
		if (ipaddr_scan(v, strlen(v), &x->ip[i % 2][x->n[i % 2]]))
			x->n[i % 2]++;
}

static int
find_addresses(struct search *s)
{
	struct answer a;
	int left = ask_addresses(s);

	if (left == -1)
		return -1;
	for (; left; left--) {
		if (resolve_answer(&s->names, &a) == -1) {
			s->failed = 1;	/* what has come, serves */
			return 1;
		}
		take_addresses(s, &a);
	}
	return 1;
}

static int
is_interface(struct ipaddr const *a)
{
	struct ifaddrs *all, *i;
	struct ipaddr own;
	unsigned int port;
	int found = 0;

	if (getifaddrs(&all) == -1)
		return 0;
	for (i = all; i && !found; i = i->ifa_next)
		found = i->ifa_addr && ipaddr_from(i->ifa_addr, &own, &port)
		    && !memcmp(&own, a, sizeof own);
	freeifaddrs(all);
	return found;
}

/* Does a connection to it come back to this host? */
static int
is_own(struct settings const *s, struct ipaddr const *a)
{
	static char const loopback[] =
	    "127.0.0.0/8\0" "0.0.0.0/8\0" "::1\0" "::\0";
	static stralloc const own = { (char *)loopback,
	    sizeof loopback - 1, 0 };

	if (settings_has(&s->notipme, a))
		return 0;
	return settings_has(&own, a) || settings_has(&s->moreipme, a) ||
	    is_interface(a);
}

static int
exchanger_is_own(struct search const *s, struct exchanger const *x)
{
	size_t i;
	int six;

	for (six = 0; six < 2; six++)
		for (i = 0; i < x->n[six]; i++)
			if (is_own(s->settings, &x->ip[six][i]))
				return 1;
	return 0;
}

/* RFC 5321 5.1: hosts of our own preference, and worse ones, are not tried.
 * How many exchangers are left.
 */
static size_t
stop_at_own(struct search const *s)
{
	size_t i, n = s->n;

	for (i = 0; i < n; i++)
		if (exchanger_is_own(s, &s->at[i]))
			break;
	if (i == n)
		return n;
	while (i && s->at[i-1].preference == s->at[i].preference)
		i--;
	return i;
}

/* Once: two exchangers may be one host. */
static void
append(struct hosts *h, struct host_name *name, struct ipaddr const *ip)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (!memcmp(&h->at[i].ip, ip, sizeof *ip))
			return;
	if (h->n < HOSTS_MOST) {
		h->at[h->n].ip = *ip;
		h->at[h->n++].of = name;
	}
}

/* One address of each family in turn: if one of them does not work from
 * here, the next attempt is with the other.
 */
static void
append_exchanger(struct hosts *h, struct search const *s,
    struct exchanger const *x)
{
	int first = !(s->route->policy & SMTPROUTES_IPV4FIRST);
	struct host_name *name = &h->name[h->names++];
	size_t i;

	memcpy(name->name, x->name, sizeof name->name);
	memcpy(name->base, x->base, sizeof name->base);
	name->secure = s->secure && !x->insecure && *x->name;
	name->dane = 0;
	for (i = 0; i < ADDRESSES; i++) {
		if (i < x->n[first])
			append(h, name, &x->ip[first][i]);
		if (i < x->n[!first])
			append(h, name, &x->ip[!first][i]);
	}
}

/* What the exchangers' addresses come to. */
static int
conclude(struct hosts *h, struct search *s)
{
	size_t n = s->route->relay_len ? s->n : stop_at_own(s), i;
	int any = 0;

	for (i = 0; i < s->n; i++)
		any |= s->at[i].n[0] || s->at[i].n[1];
	for (i = 0; i < n; i++)
		if (s->at[i].n[0] || s->at[i].n[1])
			append_exchanger(h, s, &s->at[i]);
	if (h->n)
		return 1;
	if (s->failed)
		return dns_trouble(s, s->at[0].name, "no address for now");
	if (any)
		report_perm(s->report, "Sorry. Although I'm listed as a "
		    "best-preference MX or A for that host,\nit isn't in my "
		    "control/locals file, so I don't treat it as local. "
		    "(#5.4.6)\n");
	else if (s->route->relay_len)
		return no_host(s, s->at[0].name);
	else
		report_perm(s->report, "Sorry, I couldn't find a mail "
		    "exchanger or IP address. (#5.4.4)\n");
	return 0;
}

/* "[address]", or what stands in control/smtproutes without its brackets. */
static int
literal(struct search *s, char const *name, size_t n, struct ipaddr *ip)
{
	if (!s->route->relay_len) {
		if (n < 3 || *name != '[' || name[n-1] != ']')
			return 0;
		name++;
		n -= 2;
		if (n > 5 && !strncmp(name, "IPv6:", 5)) {
			name += 5;
			n -= 5;
		}
	}
	return ipaddr_scan(name, n, ip);
}

static int
by_name(struct hosts *h, struct search *s, char const *name, size_t n)
{
	if (!resolve_valid(name, n) || n >= sizeof s->at->name)
		return no_host(s, name);
	if (resolve_start(&s->names) == -1)
		return dns_trouble(s, name, "unable to run dnsq");
	if (s->route->relay_len)
		add(s, 0, name, n);
	else if (find_exchangers(s) != 1)
		return 0;
	if (find_addresses(s) == -1)
		return dns_trouble(s, name, "no dnsq");
	if (conclude(h, s) != 1)
		return 0;
	if (tls_asks_dane(s->route))
		tlsa_find(&s->names, h->name, h->names, s->route->port);
	return 1;
}

int
hosts_find(struct hosts *h, struct settings const *settings,
    char const *domain, struct smtproute const *route, struct report *p)
{
	static struct search s;
	static struct resolve const fresh = RESOLVE_ZERO;
	struct ipaddr ip;
	stralloc name = STRALLOC_ZERO;
	int r;

	s.settings = settings;
	s.route = route;
	s.domain = domain;
	s.report = p;
	s.names = fresh;
	s.n = 0;
	s.secure = route->relay_len != 0;	/* its name is ours */
	s.failed = 0;
	h->n = h->names = 0;
	if (!(route->relay_len ?
	    stralloc_catb(&name, route->relay, route->relay_len) :
	    stralloc_cats(&name, domain)) || !stralloc_0(&name)) {
		report_temp(p, "Out of memory. (#4.3.0)\n");
		r = 0;
	} else if (literal(&s, name.s, name.len - 1, &ip)) {
		add(&s, 0, "", 0);
		s.at[0].ip[!ipaddr_is4(&ip)][0] = ip;
		s.at[0].n[!ipaddr_is4(&ip)] = 1;
		r = conclude(h, &s);
	} else
		r = by_name(h, &s, name.s, name.len - 1);
	resolve_end(&s.names);
	stralloc_free(&name);
	return r;
}
