#include "dmarc/spf.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <spf2/spf.h>

#include "dmarc/macro.h"

enum { VOID_MOST = 2, TERM_MOST = 10 };	/* RFC 7208 4.6.4 */

static SPF_server_t *server;

/* What libspf2 does not count: it has limits for one record, not for all that
 * this one includes.
 */
static struct {
	struct ask *ask;
	struct facts const *facts;
	int begun;		/* the domain's own record was asked for */
	unsigned int terms;	/* that ask DNS */
	unsigned int hosts;	/* of the last mx or ptr, still to be asked */
	unsigned int voids;	/* questions without an answer */
} dns;

static int
too_many(void)
{
	return dns.voids > VOID_MOST || dns.terms > TERM_MOST;
}

/* Addresses of the hosts of an mx or ptr go with that one. */
static void
count(ns_type type, enum ask_result r)
{
	int address = type == ns_t_a || type == ns_t_aaaa;

	if (dns.begun && !(address && dns.hosts))
		dns.terms++;
	if (dns.begun && (r == ASK_NODATA || r == ASK_NXDOMAIN))
		dns.voids++;
	if (address)
		dns.hosts -= dns.hosts != 0;
	else
		dns.hosts = type == ns_t_txt ? 0 : dns.ask->values;
	dns.begun = 1;
}

static int
put(SPF_dns_rr_t *rr, int i, void const *s, size_t n)
{
	if (SPF_dns_rr_buf_realloc(rr, i, n + 1) != SPF_E_SUCCESS)
		return -1;
	memcpy(rr->rr[i], s, n);
	((char *)rr->rr[i])[n] = 0;
	rr->num_rr = i + 1;
	return 1;
}

/* One value of dnsq's, as libspf2 keeps it.  1, 0 it cannot be used, -1. */
static int
put_value(SPF_dns_rr_t *rr, ns_type type, char const *s, size_t n)
{
	struct in6_addr six;
	struct in_addr four;
	char const *colon;

	switch (type) {
	case ns_t_a:
		return inet_pton(AF_INET, s, &four) == 1 ?
		    put(rr, rr->num_rr, &four, sizeof four) : 0;
	case ns_t_aaaa:
		return inet_pton(AF_INET6, s, &six) == 1 ?
		    put(rr, rr->num_rr, &six, sizeof six) : 0;
	case ns_t_mx:
		colon = memchr(s, ':', n);
		return colon ? put(rr, rr->num_rr, colon + 1,
		    n - (size_t)(colon + 1 - s)) : 0;
	default:
		return put(rr, rr->num_rr, s, n);
	}
}

static char const *
type_name(ns_type type)
{
	switch (type) {
	case ns_t_a: return "a";
	case ns_t_aaaa: return "aaaa";
	case ns_t_mx: return "mx";
	case ns_t_ptr: return "ptr";
	case ns_t_txt: return "txt";
	default: return 0;
	}
}

static SPF_dns_rr_t *
lookup(SPF_dns_server_t *us, char const *name, ns_type type, int cached)
{
	static int const told[] = {
		NETDB_SUCCESS, NO_DATA, HOST_NOT_FOUND, TRY_AGAIN
	};
	char const *what = type_name(type);
	enum ask_result r = ASK_NODATA;
	SPF_dns_rr_t *rr;
	unsigned int i;

	(void)cached;
	/* RFC 7208 3.1: type 99, for which there is no word, is no more */
	if (what && !too_many()) {
		r = ask(dns.ask, what, name);
		count(type, r);
	}
	if (too_many())
		r = ASK_TROUBLE;
	rr = SPF_dns_rr_new_init(us, name, type, 0, told[r]);
	for (i = 0; rr && r == ASK_FOUND && i < dns.ask->values; i++) {
		if (type == ns_t_txt)
			dns.ask->len[i] = macro_mend(dns.ask->value[i],
			    dns.ask->len[i], name, dns.facts);
		if (put_value(rr, type, dns.ask->value[i],
		    dns.ask->len[i]) == -1)
			rr->herrno = TRY_AGAIN;
	}
	return rr;
}

/* Explanations are for people whom nobody shows them here. */
static SPF_errcode_t
no_explanation(SPF_server_t *s, char const *name, char **buf, size_t *n)
{
	(void)s;
	(void)name;
	(void)buf;
	(void)n;
	return SPF_E_NOT_SPF;
}

static char
letter(SPF_response_t *r)
{
	switch (SPF_response_result(r)) {
	case SPF_RESULT_NEUTRAL: return RESULT_NEUTRAL;
	case SPF_RESULT_PASS: return RESULT_PASS;
	case SPF_RESULT_FAIL: return RESULT_FAIL;
	case SPF_RESULT_SOFTFAIL: return RESULT_SOFTFAIL;
	case SPF_RESULT_NONE: return RESULT_NONE;
	case SPF_RESULT_TEMPERROR: return RESULT_TEMPERROR;
	case SPF_RESULT_PERMERROR: return RESULT_PERMERROR;
	default: return 0;
	}
}

/* Where the record could not be had or read, the result says nothing. */
static char
verdict(SPF_response_t *r, SPF_errcode_t e)
{
	char c = letter(r);

	if (too_many())
		return RESULT_PERMERROR;
	if (c)
		return c;
	return e == SPF_E_DNS_ERROR || e == SPF_E_NO_MEMORY ?
	    RESULT_TEMPERROR : RESULT_PERMERROR;
}

int
spf_start(void)
{
	static SPF_dns_server_t resolver = {
		.lookup = lookup, .get_exp = no_explanation, .name = "dnsq"
	};

	server = SPF_server_new_dns(&resolver, 0);
	return server ? 1 : -1;
}

static char
query(struct facts const *f)
{
	SPF_request_t *q = SPF_request_new(server);
	SPF_response_t *r = 0;
	SPF_errcode_t e;

	if (!q)
		return RESULT_TEMPERROR;
	e = strchr(f->ip, ':') ? SPF_request_set_ipv6_str(q, f->ip) :
	    SPF_request_set_ipv4_str(q, f->ip);
	if (e != SPF_E_SUCCESS)
		return RESULT_NONE;
	/* its return values are of two kinds */
	SPF_request_set_helo_dom(q, *f->helo ? f->helo : "unknown");
	SPF_request_set_env_from(q, *f->sender ? f->sender : f->helo);
	e = SPF_request_query_mailfrom(q, &r);
	return r ? verdict(r, e) : RESULT_TEMPERROR;
}

/* The process ends with its message: nothing is freed. */
void
spf_check(struct ask *a, struct facts const *f, struct findings *out)
{
	char const *at = strrchr(f->sender, '@');
	char const *domain = at ? at + 1 : *f->sender ? "" : f->helo;

	out->spf = RESULT_NONE;
	/* RFC 7208 4.3; libspf2 lets whoever is on loopback pass */
	if (!ask_is_domain(domain) || !strncmp(f->ip, "127.", 4) ||
	    !strcmp(f->ip, "::1"))
		return;
	snprintf(out->spf_domain, sizeof out->spf_domain, "%s", domain);
	dns.ask = a;
	dns.facts = f;
	out->spf = query(f);
}
