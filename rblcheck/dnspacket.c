#include "rblcheck/dnspacket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <libowfat/case.h>
#include <libowfat/dns.h>

enum {
	HEADER = 12,
	OPT = 11,
	/* resolvers give up at 8 to 16 */
	CNAME_HOPS = 16,
	/* 64 KB hold more, but nobody means them: bounds the work that one
	 * packet can make */
	RECORDS = 1000
};

enum {
	TYPE_A = 1, TYPE_CNAME = 5, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16,
	TYPE_AAAA = 28, TYPE_TLSA = 52
};

enum { RCODE_OK = 0, RCODE_FORMERR = 1, RCODE_NXDOMAIN = 3, RCODE_NOTIMP = 4 };

static struct {
	char const *name;
	unsigned int type;
} const types[] = {
	{ "a", TYPE_A }, { "aaaa", TYPE_AAAA }, { "mx", TYPE_MX },
	{ "txt", TYPE_TXT }, { "ptr", TYPE_PTR }, { "cname", TYPE_CNAME },
	{ "tlsa", TYPE_TLSA }
};
enum { TYPES = sizeof types / sizeof *types };

/* One record of the answer section. */
struct record {
	char *owner;		/* malloc'd */
	unsigned int type, class;
	unsigned int data, len;	/* offset and length of its data */
};

static unsigned int
number(char const *s)
{
	return (unsigned char)s[0] << 8 | (unsigned char)s[1];
}

static void
put_number(char *s, unsigned int u)
{
	s[0] = u >> 8;
	s[1] = u;
}

/* An address is asked for by its reverse name.  1; 0 not an address. */
static int
reverse(struct dnsname *out, char const *s)
{
	char ip[16];

	if (inet_pton(AF_INET, s, ip) == 1)
		dns_name4_domain(out->wire, ip);
	else if (inet_pton(AF_INET6, s, ip) == 1)
		dns_name6_domain(out->wire, ip);
	else
		return 0;
	out->len = dns_domain_length(out->wire);
	return 1;
}

/* libowfat's decoder reads "a..b" as "a.b", and forgives a '\' at the end;
 * a name with a mistake in it must not become another name. */
static int
well_formed(char const *s)
{
	int dot = 1;

	if (strcmp(s, ".") == 0)
		return 1;
	for (; *s; s++) {
		if (*s == '.' && dot)
			return 0;
		dot = *s == '.';
		if (*s == '\\' && !*++s)
			return 0;
	}
	return !dot || s[-1] == '.';
}

int
dnspacket_name(struct dnsname *out, char const *type, char const *name)
{
	char *wire = 0;
	unsigned int i;

	for (i = 0; i < TYPES; i++)
		if (strcasecmp(types[i].name, type) == 0)
			break;
	if (i == TYPES || !*name || !well_formed(name))
		return 0;
	out->type = types[i].type;
	if (out->type == TYPE_PTR && reverse(out, name))
		return 1;
	if (!dns_domain_fromdot(&wire, name, strlen(name)))
		return errno == ENOMEM ? -1 : 0;
	out->len = dns_domain_length(wire);
	memcpy(out->wire, wire, out->len);
	dns_domain_free(&wire);
	return 1;
}

char const *
dnspacket_type(unsigned int type)
{
	unsigned int i;

	for (i = 0; i < TYPES && types[i].type != type; i++)
		;
	return i < TYPES ? types[i].name : "-";
}

int
dnspacket_text(stralloc *out, struct dnsname const *q)
{
	return dns_domain_todot_cat(out, q->wire) ? 1 : -1;
}

static void
scramble(char *s, size_t n, char const *dice)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((s[i] >= 'a' && s[i] <= 'z') ||
		    (s[i] >= 'A' && s[i] <= 'Z'))
			s[i] ^= dice[i] & 0x20;
}

size_t
dnspacket_query(char *out, struct dnsname const *q, char const *id,
    char const *dice, int edns)
{
	char *s = out + HEADER;

	memcpy(out, "..\1\x20\0\1\0\0\0\0\0\0", HEADER);	/* RD, AD */
	memcpy(out, id, 2);
	memcpy(s, q->wire, q->len);
	if (dice)
		scramble(s, q->len, dice);
	s += q->len;
	put_number(s, q->type);
	memcpy(s + 2, DNS_C_IN, 2);
	s += 4;
	if (edns) {
		memcpy(s, "\0\0\x29..\0\0\0\0\0\0", OPT);
		put_number(s + 3, DNSPACKET_UDP);
		out[11] = 1;
		s += OPT;
	}
	return s - out;
}

static int
rcode(char const *reply)
{
	return reply[3] & 15;
}

int
dnspacket_match(char const *query, size_t querylen, char const *reply,
    size_t len)
{
	/* header and question of the query; an OPT record may follow */
	size_t n = querylen - (query[11] ? OPT : 0);

	if (len < HEADER || memcmp(reply, query, 2) != 0 ||
	    !(reply[2] & 0x80) || (reply[2] & 0x78) != 0)
		return DNSPACKET_FOREIGN;
	/* A server that does not understand a query may leave it out of its
	 * complaint; it cannot make us believe anything that way. */
	if (len == HEADER && dnspacket_puzzled(reply) && !number(reply + 4))
		return DNSPACKET_OURS;
	if (len < n || number(reply + 4) != 1 ||
	    memcmp(reply + n - 4, query + n - 4, 4) != 0)
		return DNSPACKET_FOREIGN;
	n -= HEADER + 4;
	if (memcmp(reply + HEADER, query + HEADER, n) == 0)
		return DNSPACKET_OURS;
	/* lengths of labels are below 64, so below the letters */
	if (case_diffb(reply + HEADER, n, query + HEADER) == 0)
		return DNSPACKET_CASE;
	return DNSPACKET_FOREIGN;
}

int
dnspacket_truncated(char const *reply)
{
	return (reply[2] & 2) != 0;
}

int
dnspacket_secure(char const *reply)
{
	return (reply[3] & 0x20) != 0;
}

int
dnspacket_puzzled(char const *reply)
{
	return rcode(reply) == RCODE_FORMERR || rcode(reply) == RCODE_NOTIMP;
}

/* The record at *pos, which moves behind it.  1; 0 malformed. */
static int
record(char const *p, unsigned int len, unsigned int *pos, struct record *r)
{
	char head[10];
	unsigned int at = dns_packet_getname(p, len, *pos, &r->owner);

	if (!at)
		return 0;
	at = dns_packet_copy(p, len, at, head, sizeof head);
	if (!at)
		return 0;
	r->type = number(head);
	r->class = number(head + 2);
	r->data = at;
	r->len = number(head + 8);
	if (r->len > len - at)
		return 0;
	*pos = at + r->len;
	return 1;
}

/* The name that fills the data from offset at to the end.  1; 0. */
static int
name_in(char const *p, unsigned int len, struct record const *r,
    unsigned int at, char **name)
{
	at = dns_packet_getname(p, len, at, name);
	return at && at == r->data + r->len;
}

/* Is it of class IN and that type, and does the name own it? */
static int
is(struct record const *r, unsigned int type, char const *name)
{
	return r->type == type && r->class == 1 &&
	    dns_domain_equal(r->owner, name);
}

/* Follows CNAMEs from *name, whatever order they came in.  0, or a word. */
static char const *
chase(char const *p, unsigned int len, unsigned int start, char **name)
{
	struct record r = { .owner = 0 };
	char const *why = 0;
	unsigned int pos = start, left = number(p + 6), hops = 0;

	while (!why && left--) {
		if (!record(p, len, &pos, &r))
			why = "malformed";
		else if (is(&r, TYPE_CNAME, *name)) {
			if (++hops > CNAME_HOPS)
				why = "cnameloop";
			else if (!name_in(p, len, &r, r.data, name))
				why = "malformed";
			pos = start;
			left = number(p + 6);
		}
	}
	dns_domain_free(&r.owner);
	return why;
}

static int
put_address(stralloc *out, char const *p, struct record const *r)
{
	int family = r->type == TYPE_A ? AF_INET : AF_INET6;
	char text[INET6_ADDRSTRLEN];

	if (r->len != (family == AF_INET ? 4 : 16))
		return 0;
	return inet_ntop(family, p + r->data, text, sizeof text) &&
	    stralloc_cats(out, text);
}

static int
put_name(stralloc *out, char const *p, unsigned int len,
    struct record const *r, unsigned int at)
{
	char *name = 0;
	int good = name_in(p, len, r, at, &name) &&
	    dns_domain_todot_cat(out, name);

	dns_domain_free(&name);
	return good;
}

static int
put_mx(stralloc *out, char const *p, unsigned int len, struct record const *r)
{
	char text[8];

	if (r->len < 3)
		return 0;
	snprintf(text, sizeof text, "%u:", number(p + r->data));
	return stralloc_cats(out, text) &&
	    put_name(out, p, len, r, r->data + 2);
}

static int
put_escaped(stralloc *out, unsigned char c)
{
	char text[5];

	if (c > 32 && c < 127 && c != '"' && c != '\\')
		return stralloc_append(out, (char *)&c);
	snprintf(text, sizeof text, "\\%03o", c);
	return stralloc_cats(out, text);
}

/* Strings of a length byte each fill the data to its end. */
static int
put_txt(stralloc *out, char const *p, struct record const *r)
{
	unsigned int at = r->data, end = r->data + r->len, n;

	if (at == end || !stralloc_append(out, "\""))
		return 0;
	while (at < end) {
		n = (unsigned char)p[at++];
		if (n > end - at)
			return 0;
		for (; n; n--)
			if (!put_escaped(out, p[at++]))
				return 0;
	}
	return stralloc_append(out, "\"");
}

static int
put_tlsa(stralloc *out, char const *p, struct record const *r)
{
	unsigned char const *s = (unsigned char const *)p + r->data;
	char text[16];
	unsigned int i;

	if (r->len < 4)
		return 0;
	snprintf(text, sizeof text, "%u:%u:%u:", s[0], s[1], s[2]);
	if (!stralloc_cats(out, text))
		return 0;
	for (i = 3; i < r->len; i++) {
		snprintf(text, sizeof text, "%02x", s[i]);
		if (!stralloc_cats(out, text))
			return 0;
	}
	return 1;
}

/* Appends a blank and the value.  1; 0 malformed, or out of memory: errno. */
static int
put_value(stralloc *out, char const *p, unsigned int len,
    struct record const *r)
{
	if (!stralloc_append(out, " "))
		return 0;
	switch (r->type) {
	case TYPE_A:
	case TYPE_AAAA:
		return put_address(out, p, r);
	case TYPE_MX:
		return put_mx(out, p, len, r);
	case TYPE_TXT:
		return put_txt(out, p, r);
	case TYPE_TLSA:
		return put_tlsa(out, p, r);
	default:
		return put_name(out, p, len, r, r->data);
	}
}

/* All values of the type that name owns.  0, or a word; *hits: how many. */
static char const *
values(char const *p, unsigned int len, unsigned int pos, unsigned int type,
    char const *name, stralloc *out, unsigned int *hits)
{
	struct record r = { .owner = 0 };
	char const *why = 0;
	unsigned int left = number(p + 6);

	while (!why && left--) {
		if (!record(p, len, &pos, &r))
			why = "malformed";
		else if (!is(&r, type, name))
			continue;
		else if (!put_value(out, p, len, &r))
			why = "malformed";
		else if (++*hits && out->len > DNSPACKET_TEXT)
			why = "toolong";
	}
	dns_domain_free(&r.owner);
	return why;
}

static char const *
refusal(int code)
{
	static char const *const words[] = {
		0, "formerr", "servfail", 0, "notimp", "refused", "yxdomain",
		"yxrrset", "nxrrset", "notauth", "notzone"
	};

	return code < (int)(sizeof words / sizeof *words) ? words[code] :
	    "rcode";
}

/* 0, or why the reply is none. */
static char const *
answer(struct dnsname const *q, char const *p, unsigned int len, char **name,
    stralloc *text, unsigned int *hits)
{
	unsigned int pos = HEADER + q->len + 4;
	char const *why;

	if (len < pos || number(p + 6) > RECORDS)
		return "malformed";
	if (q->type != TYPE_CNAME) {
		why = chase(p, len, pos, name);
		if (why)
			return why;
	}
	if (!dns_domain_todot_cat(text, *name))
		return "nomemory";
	return rcode(p) == RCODE_NXDOMAIN ? 0 :
	    values(p, len, pos, q->type, *name, text, hits);
}

int
dnspacket_read(struct dnsname const *q, char const *reply, size_t len,
    stralloc *text, char const **why)
{
	char *name = 0;
	unsigned int hits = 0;
	char const *w = refusal(rcode(reply));

	text->len = 0;
	errno = 0;
	if (!w && !dns_domain_copy(&name, q->wire))
		w = "nomemory";
	if (!w)
		w = answer(q, reply, len, &name, text, &hits);
	dns_domain_free(&name);
	if (w) {
		/* the codec fails in one way for all reasons */
		*why = errno == ENOMEM ? "nomemory" : w;
		return DNSPACKET_FAILED;
	}
	if (rcode(reply) == RCODE_NXDOMAIN)
		return DNSPACKET_NXDOMAIN;
	return hits ? DNSPACKET_ANSWER : DNSPACKET_NODATA;
}
