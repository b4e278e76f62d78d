#include <stdio.h>
#include <string.h>

#include "lib/control.h"
#include "lib/resolve.h"
#include "tools/checks.h"
#include "tools/dkimrecords.h"
#include "tools/finding.h"

enum { VALUES = 4096, KEY = 1024 };

/* One answer, copied: the values stand behind one another, with NUL. */
struct records {
	int known;		/* 1; 0 there are none; -1 no answer */
	int name;		/* the name exists */
	char result[16];
	char values[VALUES];
	size_t len;
};

static void
keep(struct records *r, struct answer *a)
{
	char *v;
	size_t n;

	snprintf(r->result, sizeof r->result, "%s", a->result);
	r->name = strcmp(a->result, "nxdomain") != 0;
	if (strcmp(a->result, "nodata") == 0 || !r->name)
		r->known = 0;
	if (strcmp(a->result, "answer") != 0)
		return;
	r->known = 1;
	while ((v = resolve_value(a))) {
		n = strlen(v) + 1;
		if (n > sizeof r->values - r->len)
			break;
		memcpy(r->values + r->len, v, n);
		r->len += n;
	}
}

/* A host name; or an address, for ptr. */
static int
askable(char const *name)
{
	struct ipaddr a;
	size_t n = strlen(name);

	return resolve_valid(name, n) || ipaddr_scan(name, n, &a);
}

/* The records of that type. */
static struct records *
records(char const *type, char const *name)
{
	static struct records r;
	struct resolve q = RESOLVE_ZERO;
	struct answer a;

	memset(&r, 0, sizeof r);
	r.known = -1;
	if (!askable(name) || resolve_start(&q) == -1)
		return &r;
	if (resolve_ask(&q, "d", type, name) == 1 &&
	    resolve_answer(&q, &a) == 1)
		keep(&r, &a);
	resolve_end(&q);
	return &r;
}

/* The next value, from null. */
static char const *
next(struct records const *r, char const *v)
{
	v = v ? v + strlen(v) + 1 : r->values;
	return v < r->values + r->len ? v : 0;
}

/* How many values begin so. */
static unsigned int
beginning(struct records const *r, char const *s)
{
	unsigned int n = 0;
	char const *v;

	for (v = next(r, 0); v; v = next(r, v))
		n += strncasecmp(v, s, strlen(s)) == 0;
	return n;
}

void
check_resolver(struct machine const *m)
{
	struct records *r = records("mx", "example.com");

	if (r->known == -1)
		r = records("mx", m->me.s);
	if (r->known == -1)
		finding_bad("no mail goes to other hosts, no list is asked",
		    "look at unbound, and at control/resolver",
		    "the resolver does not answer (%s)",
		    *r->result ? r->result : "dnsq does not run");
	else
		finding_ok("the resolver answers");
}

static int
is_own(struct machine const *m, char const *text)
{
	struct ipaddr a;
	unsigned int i;

	if (!ipaddr_scan(text, strlen(text), &a))
		return 0;
	for (i = 0; i < m->n; i++)
		if (memcmp(&a, &m->addresses[i], sizeof a) == 0)
			return 1;
	return 0;
}

/* 192.0.2.1 and 2001:db8::1 as dnsq's ptr takes them */
static void
check_back(struct machine const *m, char const *address)
{
	struct records *r = records("ptr", address);
	char const *v = next(r, 0);

	if (r->known == -1)
		finding_note("no answer about the name of %s", address);
	else if (v && strcasecmp(v, m->me.s) == 0)
		finding_ok("%s is called %s", address, v);
	else if (v)
		finding_warn("many hosts refuse mail then", "have whoever"
		    " gives you the address change its PTR record",
		    "%s is called %s, not %s", address, v, m->me.s);
	else
		finding_warn("many hosts refuse mail then", "have whoever"
		    " gives you the address make a PTR record",
		    "%s has no name", address);
}

/* Address and name of this host. */
static void
check_host(struct machine const *m)
{
	static char const *const types[] = { "a", "aaaa" };
	char found[8][IPADDR_FMT];
	unsigned int n = 0, i;
	struct records *r;
	char const *v;
	int own = 0, unknown = 0;

	for (i = 0; i < 2; i++) {
		r = records(types[i], m->me.s);
		unknown |= r->known == -1;
		for (v = next(r, 0); v && n < 8; v = next(r, v)) {
			snprintf(found[n++], IPADDR_FMT, "%.45s", v);
			own |= is_own(m, v);
		}
	}
	if (!n && unknown) {
		finding_warn("it is not known whether it can be found",
		    "doctor resolver", "no answer about %s", m->me.s);
		return;
	}
	if (!n) {
		finding_bad("nobody finds this host", "publish what"
		    " dnsrecords prints", "%s has no address in DNS",
		    m->me.s);
		return;
	}
	if (!own)
		finding_note("%s is %s, which is no address of this machine:"
		    " behind a router?", m->me.s, found[0]);
	for (i = 0; i < n; i++)
		check_back(m, found[i]);
}

static void
check_mx(struct machine const *m, char const *domain)
{
	struct records *r = records("mx", domain);
	char const *v, *name;

	for (v = next(r, 0); v; v = next(r, v)) {
		name = strchr(v, ':');
		if (name && strcasecmp(name + 1, m->me.s) == 0) {
			finding_ok("mail for %s comes to %s", domain, m->me.s);
			return;
		}
	}
	if (r->known == -1)
		finding_warn("it is not known where its mail goes",
		    "dnsq mx DOMAIN", "no answer about %s", domain);
	else
		finding_bad("its mail goes elsewhere, or nowhere",
		    "publish what dnsrecords prints",
		    "no MX record of %s names %s", domain, m->me.s);
}

static void
check_spf(char const *domain)
{
	struct records *r = records("txt", domain);
	unsigned int n = beginning(r, "\"v=spf1");

	if (r->known == -1)
		return;
	if (n == 1)
		finding_ok("%s has an SPF record", domain);
	else if (n)
		finding_bad("receivers take none of them", "publish one",
		    "%s has %u SPF records", domain, n);
	else
		finding_warn("receivers cannot tell your mail from forgeries",
		    "publish what dnsrecords prints",
		    "%s has no SPF record", domain);
}

/* What p= of a key's record says, without the signs that DNS puts between its
 * parts; its length.
 */
static size_t
public_key(char const *s, char *out, size_t max)
{
	char const *p = strstr(s, "p=");
	size_t n = 0, k;

	for (p = p ? p + 2 : ""; *p && *p != ';' && n < max; p += k) {
		/* dnsq's escapes: blanks */
		k = *p == '\\' ? strnlen(p, 4) : 1;
		if (k == 1 && !strchr(" \"", *p))
			out[n++] = *p;
	}
	return n;
}

static void
check_key(struct dkimrecord const *k)
{
	char here[KEY], there[KEY];
	struct records *r = records("txt", k->name.s);
	size_t n = public_key(k->value.s, here, KEY), m;
	char const *v = next(r, 0);

	if (r->known == -1) {
		finding_note("no answer about %s", k->name.s);
		return;
	}
	m = v ? public_key(v, there, KEY) : 0;
	if (n == m && !memcmp(here, there, n))
		finding_ok("%s is the key that is here", k->name.s);
	else if (v)
		finding_bad("receivers find the signatures wrong",
		    "publish what dnsrecords prints, or dkimkey -u another",
		    "%s is not the key that is here", k->name.s);
	else if (k->in_use)
		finding_bad("receivers take signatures for missing",
		    "publish what dnsrecords prints",
		    "%s, with which mail is signed, is not in DNS",
		    k->name.s);
	else
		finding_note("%s is not in DNS yet, and not in use",
		    k->name.s);
}

/* 1: there are keys here. */
static int
check_keys(char const *domain)
{
	struct dkimrecord k = DKIMRECORD_ZERO;
	DIR *d = dkimrecords_open();
	int some = 0, r = 0;

	while (d && (r = dkimrecords_next(d, domain, &k)) == 1) {
		check_key(&k);
		some = 1;
	}
	if (r == -1)
		finding_warn("keys may be missing in DNS", "look at dkim/",
		    "dkim/ cannot be read");
	stralloc_free(&k.name);
	stralloc_free(&k.value);
	return some;
}

static void
check_dmarc(char const *domain)
{
	char name[300];
	struct records *r;

	snprintf(name, sizeof name, "_dmarc.%.250s", domain);
	r = records("txt", name);
	if (r->known == -1)
		return;
	if (beginning(r, "\"v=DMARC1") == 1)
		finding_ok("%s has a DMARC record", domain);
	else
		finding_warn("large receivers ask for one",
		    "publish what dnsrecords prints",
		    "%s has no DMARC record", domain);
	if (check_keys(domain))
		return;
	/* a name with keys below it exists, though it has no records */
	snprintf(name, sizeof name, "_domainkey.%.250s", domain);
	r = records("txt", name);
	if (r->known != -1 && !r->name)
		finding_note("%s publishes no DKIM key", domain);
}

void
check_dns(struct machine const *m)
{
	char const *d;

	check_host(m);
	for (d = m->domains.s; d && d < m->domains.s + m->domains.len;
	    d += strlen(d) + 1) {
		check_mx(m, d);
		check_spf(d);
		check_dmarc(d);
	}
}

/* 192.0.2.1 in list.example is 1.2.0.192.list.example (RFC 5782). */
static int
question(struct ipaddr const *a, char const *list, size_t n, char *out,
    size_t max)
{
	return snprintf(out, max, "%u.%u.%u.%u.%.*s", a->b[15], a->b[14],
	    a->b[13], a->b[12], (int)n, list) < (int)max;
}

static void
ask_list(struct ipaddr const *a, char const *list, size_t n)
{
	char name[300], text[IPADDR_FMT];
	struct records *r;
	char const *v;

	if (!ipaddr_is4(a) || !question(a, list, n, name, sizeof name))
		return;
	r = records("a", name);
	v = next(r, 0);
	ipaddr_fmt(text, a);
	if (r->known == -1)
		finding_note("%.*s gives no answer about %s", (int)n, list,
		    text);
	else if (!v || strncmp(v, "127.", 4) != 0)
		finding_ok("%s is not on %.*s", text, (int)n, list);
	else if (strncmp(v, "127.255.255.", 12) == 0)
		finding_warn("it does not answer your resolver", "read its"
		    " terms of use", "%.*s says %s", (int)n, list, v);
	else
		finding_bad("others refuse mail from here", "ask the list why,"
		    " and look for what sent spam", "%s is on %.*s (%s)",
		    text, (int)n, list, v);
}

/* Are we on the lists by which we refuse others? */
void
check_lists(struct machine const *m)
{
	stralloc lists = STRALLOC_ZERO;
	char const *s;
	unsigned int i, public = 0;

	if (control_list("control/dnsbl", &lists) != 1) {
		finding_note("control/dnsbl names no list");
		return;
	}
	for (i = 0; i < m->n; i++)
		public += !checks_private(&m->addresses[i]);
	if (!public)
		finding_note("this machine has no public address of its own: "
		    "no list was asked about it");
	for (s = lists.s; s < lists.s + lists.len; s += strlen(s) + 1) {
		if (strncmp(s, "allow ", 6) == 0 ||
		    strncmp(s, "name ", 5) == 0)
			continue;
		for (i = 0; i < m->n; i++)
			if (!checks_private(&m->addresses[i]))
				ask_list(&m->addresses[i], s,
				    strcspn(s, "=: \t"));
	}
	stralloc_free(&lists);
}
