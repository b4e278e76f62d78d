#include "rules/rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/types.h>

#include "lib/ipaddr.h"

struct lookup {
	struct cdbfile *cdb;
	unsigned char const *index;	/* 0: no such record */
	uint64_t now;
	struct rule *out;
};

void
rule_read(struct rule *out, char const *data, size_t len)
{
	char const *end;

	out->deny = 0;
	out->until = 0;
	out->data = data;
	out->len = len;
	for (; (end = memchr(data, 0, len)); len -= end + 1 - data,
	    data = end + 1) {
		if (*data == 'D')
			out->deny = 1;
		else if (*data == 'T')
			out->until = strtoull(data + 1, 0, 10);
	}
}

int
rule_variable(struct rule const *r, size_t *pos, char const **s)
{
	char const *item, *end;

	while (*pos < r->len) {
		item = r->data + *pos;
		end = memchr(item, 0, r->len - *pos);
		if (!end)
			return 0;
		*pos = end + 1 - r->data;
		if (*item == '+' && strchr(item, '=')) {
			*s = item + 1;
			return 1;
		}
	}
	return 0;
}

/* The record under the key in l->out, the timed one first. */
static int
try(struct lookup *l)
{
	struct rule *r = l->out;
	char const *data;
	size_t len;
	int found;

	if (l->index && l->index[0] & 1) {
		r->key[r->keylen] = 0;
		found = cdbfile_get(l->cdb, r->key, r->keylen + 1, &data,
		    &len);
		if (found == -1)
			return -1;
		if (found)
			rule_read(r, data, len);
		if (found && r->until > l->now)
			return 1;
	}
	found = cdbfile_get(l->cdb, r->key, r->keylen, &data, &len);
	if (found == 1)
		rule_read(r, data, len);
	return found;
}

/* The key a followed by b and c. */
static int
try_key(struct lookup *l, char const *a, char const *b, char const *c)
{
	size_t an = strlen(a), bn = strlen(b), cn = strlen(c);
	char *k = l->out->key;

	if (an >= RULE_KEY || bn >= RULE_KEY || cn >= RULE_KEY ||
	    an + bn + cn >= RULE_KEY)
		return 0;
	memcpy(k, a, an);
	memcpy(k + an, b, bn);
	memcpy(k + an + bn, c, cn);
	l->out->keylen = an + bn + cn;
	return try(l);
}

static int
try_cidr(struct lookup *l, struct ipaddr const *a, unsigned int bits)
{
	char text[IPADDR_FMT + 4];
	struct ipaddr net = *a;
	unsigned char const *lengths = l->index +
	    (ipaddr_is4(a) ? RULE_INDEX4 : RULE_INDEX6);
	size_t n;

	if (!(lengths[bits / 8] >> bits % 8 & 1))
		return 0;
	ipaddr_mask(&net, bits);
	n = ipaddr_fmt(text, &net);
	text[n++] = '/';
	text[n + uint_fmt(text + n, bits)] = 0;
	return try_key(l, text, "", "");
}

/* The prefix of so many whole components: "10.1." or "2001:db8:". */
static int
try_prefix(struct lookup *l, struct ipaddr const *a, unsigned int parts)
{
	char text[IPADDR_FMT];
	int four = ipaddr_is4(a);
	unsigned int i;
	size_t n = 0;

	for (i = 0; i < parts; i++) {
		n += four ? uint_fmt(text + n, a->b[12 + i]) :
		    uint_xfmt(text + n, a->b[2 * i] << 8 | a->b[2 * i + 1]);
		text[n++] = four ? '.' : ':';
	}
	text[n] = 0;
	return try_key(l, text, "", "");
}

static int
try_networks(struct lookup *l, struct ipaddr const *a)
{
	unsigned int bits = ipaddr_is4(a) ? 32 : 128;
	unsigned int part = ipaddr_is4(a) ? 8 : 16;
	int r = 0;

	while (!r && bits--)
		if (bits && bits % part == 0)
			r = try_prefix(l, a, bits / part);
		else if (l->index)
			r = try_cidr(l, a, bits);
	return r;
}

/* As tcpserver does it, for what is no address ($TCPREMOTEIP is the
 * environment's word). */
static int
try_cut_at_dots(struct lookup *l, char const *ip)
{
	struct rule *r = l->out;
	size_t n = strlen(ip);
	int found = 0;

	if (n >= RULE_KEY)
		return 0;
	memcpy(r->key, ip, n);
	for (; !found && n; n--)
		if (ip[n - 1] == '.') {
			r->keylen = n;
			found = try(l);
		}
	return found;
}

static int
try_suffixes(struct lookup *l, char const *host)
{
	int r = 0;

	for (; !r && *host; host++)
		if (*host == '.')
			r = try_key(l, "=", host, "");
	return r ? r : try_key(l, "=", "", "");
}

static int
decide(struct lookup *l, struct rule_client const *who)
{
	char text[IPADDR_FMT];
	char const *ip = who->ip ? who->ip : "";
	struct ipaddr a;
	int known = ipaddr_scan(ip, strlen(ip), &a), r = 0;

	if (known) {
		ipaddr_fmt(text, &a);
		ip = text;
	}
	if (who->info)
		r = try_key(l, who->info, "@", ip);
	if (!r && who->info && who->host)
		r = try_key(l, who->info, "@=", who->host);
	if (!r)
		r = try_key(l, ip, "", "");
	if (!r && who->host)
		r = try_key(l, "=", who->host, "");
	if (!r)
		r = known ? try_networks(l, &a) : try_cut_at_dots(l, ip);
	if (!r && who->host)
		r = try_suffixes(l, who->host);
	return r ? r : try_key(l, "", "", "");
}

int
rule_find(struct cdbfile *c, struct rule_client const *who, uint64_t now,
    struct rule *out)
{
	struct lookup l = { c, 0, now, out };
	char const *index;
	size_t len;
	int r;

	r = cdbfile_get(c, "", 1, &index, &len);
	if (r == 1 && len != RULE_INDEX) {
		errno = EPROTO;
		r = -1;
	}
	if (r == -1)
		return -1;
	if (r == 1)
		l.index = (unsigned char const *)index;
	return decide(&l, who);
}
