#include "dmarc/policy.h"

#include <stdio.h>
#include <string.h>

#include <libpsl.h>
#include <opendmarc/dmarc.h>

enum { RECORD_MOST = 4096 };	/* libopendmarc cuts at BUFSIZ */

static psl_ctx_t const *suffixes;

int
policy_start(void)
{
	/* the newest of Debian's file and the list built into the library */
	suffixes = psl_latest(0);
	return suffixes ? 1 : -1;
}

/* Lower case, no dot at its end. */
static void
plain(char out[PROTOCOL_DOMAIN + 1], char const *s)
{
	size_t i;

	for (i = 0; s[i] && i < PROTOCOL_DOMAIN; i++)
		out[i] = s[i] >= 'A' && s[i] <= 'Z' ?
		    (char)(s[i] + 'a' - 'A') : s[i];
	out[i - (i && out[i - 1] == '.')] = 0;
}

/* The organizational domain (RFC 7489 3.2) of a name in lower case: itself,
 * if it is a public suffix, so that it is nobody else's.
 */
static char const *
organization(char const *name)
{
	char const *s = psl_registrable_domain(suffixes, name);

	return s ? s : name;
}

static int
is_aligned(char const *author, char const *domain, int mode)
{
	char low[PROTOCOL_DOMAIN + 1];

	plain(low, domain);
	if (!strcmp(author, low))
		return 1;
	return mode != DMARC_RECORD_A_STRICT &&
	    !strcmp(organization(author), organization(low));
}

/* RFC 7489 6.4: the tag v= comes first, and is all of it that is sure. */
static int
is_record(char const *s)
{
	s += strspn(s, " \t");
	if (strncmp(s, "v", 1))
		return 0;
	s += 1 + strspn(s + 1, " \t");
	if (*s != '=')
		return 0;
	s += 1 + strspn(s + 1, " \t");
	if (strncmp(s, "DMARC1", 6))
		return 0;
	s += 6 + strspn(s + 6, " \t");
	return !*s || *s == ';';
}

/* The one record of a name.  1, 0 there is none, or several; -1 trouble. */
static int
record_of(struct ask *a, char const *domain, char record[RECORD_MOST])
{
	char name[PROTOCOL_DOMAIN + 8];
	char const *found = 0;
	unsigned int i;

	snprintf(name, sizeof name, "_dmarc.%s", domain);
	switch (ask(a, "txt", name)) {
	case ASK_TROUBLE: return -1;
	case ASK_FOUND: break;
	default: return 0;
	}
	for (i = 0; i < a->values; i++) {
		if (!is_record(a->value[i]))
			continue;
		if (found)
			return 0;
		found = a->value[i];
	}
	if (!found || strlen(found) >= RECORD_MOST)
		return 0;
	snprintf(record, RECORD_MOST, "%s", found);
	return 1;
}

static char
policy_letter(int p)
{
	switch (p) {
	case DMARC_RECORD_P_REJECT: return PROTOCOL_P_REJECT;
	case DMARC_RECORD_P_QUARANTINE: return PROTOCOL_P_QUARANTINE;
	case DMARC_RECORD_P_NONE: return PROTOCOL_P_NONE;
	default: return PROTOCOL_P_ABSENT;
	}
}

struct policy {
	int p, sp, adkim, aspf, pct;
};

/* 1, 0: the record is malformed. */
static int
read_record(char const *author, char *record, struct policy *p)
{
	DMARC_POLICY_T *c = opendmarc_policy_connect_init(
	    (u_char *)"192.0.2.1", DMARC_POLICY_IP_TYPE_IPV4);

	return c && opendmarc_policy_store_dmarc(c, (u_char *)record,
	    (u_char *)author, 0) == DMARC_PARSE_OKAY &&
	    opendmarc_policy_fetch_p(c, &p->p) == DMARC_PARSE_OKAY &&
	    opendmarc_policy_fetch_sp(c, &p->sp) == DMARC_PARSE_OKAY &&
	    opendmarc_policy_fetch_adkim(c, &p->adkim) == DMARC_PARSE_OKAY &&
	    opendmarc_policy_fetch_aspf(c, &p->aspf) == DMARC_PARSE_OKAY &&
	    opendmarc_policy_fetch_pct(c, &p->pct) == DMARC_PARSE_OKAY &&
	    policy_letter(p->p) != PROTOCOL_P_ABSENT;
}

/* Something aligned is good; or might be, if DNS had answered. */
static char
verdict(char const *author, struct policy const *p, struct findings const *f)
{
	char result = RESULT_FAIL;
	unsigned int i;

	if (*f->spf_domain && is_aligned(author, f->spf_domain, p->aspf)) {
		if (f->spf == RESULT_PASS)
			return RESULT_PASS;
		if (f->spf == RESULT_TEMPERROR)
			result = RESULT_TEMPERROR;
	}
	for (i = 0; i < f->signatures; i++) {
		struct signature const *s = f->signature + i;

		if (!is_aligned(author, s->domain, p->adkim))
			continue;
		if (s->result == RESULT_PASS)
			return RESULT_PASS;
		if (s->result == RESULT_TEMPERROR)
			result = RESULT_TEMPERROR;
	}
	return result;
}

void
policy_check(struct ask *a, char const *from, struct findings *out)
{
	static struct policy p;
	char record[RECORD_MOST], author[PROTOCOL_DOMAIN + 1];
	char const *org;
	int r, from_org = 0;

	out->dmarc = RESULT_NONE;
	out->policy = PROTOCOL_P_ABSENT;
	out->pct = 100;
	if (!ask_is_domain(from))
		return;
	plain(author, from);
	org = organization(author);
	r = record_of(a, author, record);
	if (r == 0 && strcmp(org, author)) {
		from_org = 1;
		r = record_of(a, org, record);
	}
	if (r != 1) {
		if (r == -1)
			out->dmarc = RESULT_TEMPERROR;
		return;
	}
	if (!read_record(author, record, &p)) {
		out->dmarc = RESULT_PERMERROR;
		return;
	}
	out->policy = policy_letter(from_org && policy_letter(p.sp) !=
	    PROTOCOL_P_ABSENT ? p.sp : p.p);
	out->pct = (unsigned char)p.pct;
	out->dmarc = verdict(author, &p, out);
}
