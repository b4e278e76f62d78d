#include "lib/smtproutes.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/smtpaddress.h"

struct word {
	char const *s;
	size_t n;
};

static struct smtproute const none = { .port = SMTPROUTES_PORT };

static int
same(struct word a, char const *s, size_t n)
{
	return a.n == n && strncasecmp(a.s, s, n) == 0;
}

/* Cuts what stands before the first c off *rest. */
static struct word
before(struct word *rest, char c)
{
	char const *end = memchr(rest->s, c, rest->n);
	struct word w = { rest->s, end ? (size_t)(end - rest->s) : rest->n };
	size_t all = end ? w.n + 1 : w.n;

	rest->s += all;
	rest->n -= all;
	return w;
}

/* The key of a line.  A bracketed IPv6 address has colons of its own. */
static struct word
key_of(struct word *line)
{
	char const *end;
	struct word key;

	if (!line->n || *line->s != '[')
		return before(line, ':');
	end = memchr(line->s, ']', line->n);
	if (!end)
		return before(line, ':');
	key = *line;
	key.n = end + 1 - line->s;
	line->s += key.n;
	line->n -= key.n;
	before(line, ':');
	return key;
}

static int
parse_port(struct word w, unsigned int *out)
{
	unsigned int u = 0;
	size_t i;

	for (i = 0; i < w.n; i++) {
		if (w.s[i] < '0' || w.s[i] > '9')
			return 0;
		u = u * 10 + (w.s[i] - '0');
		if (u > 65535)
			return 0;
	}
	*out = u;
	return u != 0;
}

/* SHA-256 in hexadecimal, with or without colons. */
static int
is_digest(struct word w)
{
	size_t i, digits = 0;

	for (i = 0; i < w.n; i++)
		if (w.s[i] && strchr("0123456789abcdefABCDEF", w.s[i]))
			digits++;
		else if (w.s[i] != ':')
			return 0;
	return digits == 64;
}

/* What stands behind "=", or null. */
static int
takes(unsigned int bit, char const *value, size_t n)
{
	struct word w = { value, n };

	switch (bit) {
	case SMTPROUTES_PIN:
		return value && is_digest(w);
	case SMTPROUTES_VERIFY:
		return !value || (n && n < 256);
	default:
		return !value;
	}
}

static unsigned int
policy_bit(struct word name)
{
	static struct {
		char const *name;
		unsigned int bit;
	} const words[] = {
		{ "ipv4", SMTPROUTES_IPV4 }, { "ipv6", SMTPROUTES_IPV6 },
		{ "ipv4first", SMTPROUTES_IPV4FIRST },
		{ "plaintext", SMTPROUTES_PLAINTEXT },
		{ "send8", SMTPROUTES_SEND8 }, { "smtps", SMTPROUTES_SMTPS },
		{ "notls", SMTPROUTES_NOTLS }, { "may", SMTPROUTES_MAY },
		{ "encrypt", SMTPROUTES_ENCRYPT },
		{ "verify", SMTPROUTES_VERIFY }, { "pin", SMTPROUTES_PIN },
		{ "dane", SMTPROUTES_DANE },
		{ "dane-only", SMTPROUTES_DANEONLY }
	};
	size_t i;

	for (i = 0; i < sizeof words / sizeof *words; i++)
		if (same(name, words[i].name, strlen(words[i].name)))
			return words[i].bit;
	return 0;
}

static int
parse_policy(struct word w, struct smtproute *r)
{
	while (w.n) {
		struct word one = before(&w, ',');
		int valued = one.n && memchr(one.s, '=', one.n);
		unsigned int bit = policy_bit(before(&one, '='));

		if (!bit || !takes(bit, valued ? one.s : 0, one.n) ||
		    (bit & SMTPROUTES_TLS && r->policy & SMTPROUTES_TLS))
			return 0;
		r->policy |= bit;
		if (valued) {
			r->tls = one.s;
			r->tls_len = one.n;
		}
	}
	/* TLS from the first byte, and no TLS */
	return !(r->policy & SMTPROUTES_SMTPS && r->policy & SMTPROUTES_NOTLS);
}

static int
parse_relay(struct word w, struct smtproute *r)
{
	struct word host;

	if (w.n && *w.s == '[') {
		w.s++;
		w.n--;
		if (!memchr(w.s, ']', w.n))
			return 0;
		host = before(&w, ']');
		if (w.n && *w.s != ':')
			return 0;
		before(&w, ':');
	} else
		host = before(&w, ':');
	r->relay = host.s;
	r->relay_len = host.n;
	return !w.n || parse_port(w, &r->port);
}

static int
parse(struct word line, struct smtproute *out)
{
	struct smtproute r = none;
	struct word relay = before(&line, '|');
	struct word user = before(&line, '|');
	struct word password = before(&line, '|');

	if (!parse_relay(relay, &r) || !parse_policy(line, &r)) {
		errno = EINVAL;
		return -1;
	}
	if (r.port == SMTPROUTES_SMTPS_PORT &&
	    !(r.policy & SMTPROUTES_NOTLS))
		r.policy |= SMTPROUTES_SMTPS;
	r.user = user.s;
	r.user_len = user.n;
	r.password = password.s;
	r.password_len = password.n;
	*out = r;
	return 1;
}

/* How well a key fits a host: 0 not at all, else more for a longer one. */
static size_t
fits(struct word key, char const *host, size_t n)
{
	if (same(key, host, n))
		return n + 2;
	if (key.n && (*key.s != '.' || key.n >= n ||
	    !same(key, host + n - key.n, key.n)))
		return 0;
	return key.n + 1;
}

int
smtproutes_find(stralloc const *list, char const *host, size_t n,
    struct smtproute *out)
{
	struct word best = { 0, 0 };
	size_t i, len, most = 0;

	for (i = 0; i < list->len; i += len + 1) {
		struct word line = { list->s + i, 0 };
		size_t fit;

		line.n = len = strlen(list->s + i);
		fit = fits(key_of(&line), host, n);
		if (fit > most) {
			most = fit;
			best = line;
		}
	}
	if (most)
		return parse(best, out);
	*out = none;
	return 0;
}

int
smtproutes_sender(stralloc const *list, char const *sender, size_t n,
    struct smtproute *out)
{
	struct word domain = { 0, 0 };
	size_t i, len, at = smtpaddress_at(sender, n);

	for (i = 0; n && i < list->len; i += len + 1) {
		struct word line = { list->s + i, 0 }, key;

		line.n = len = strlen(list->s + i);
		key = key_of(&line);
		if (same(key, sender, n))
			return parse(line, out);
		if (key.n && *key.s == '@' && !domain.s &&
		    same(key, sender + at, n - at))
			domain = line;
	}
	if (domain.s)
		return parse(domain, out);
	*out = none;
	return 0;
}
