#include "rblcheck/resolvers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libowfat/openreadclose.h>
#include <libowfat/stralloc.h>

enum { PORT = 53 };

static int
loopback(char const *ip)
{
	static char const mapped[13] = "\0\0\0\0\0\0\0\0\0\0\377\377\177";
	static char const six[16] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1";

	return memcmp(ip, mapped, sizeof mapped) == 0 ||
	    memcmp(ip, six, sizeof six) == 0;
}

static int
scan_ip(char const *s, char *ip)
{
	memcpy(ip, "\0\0\0\0\0\0\0\0\0\0\377\377", 12);
	return inet_pton(AF_INET, s, ip + 12) == 1 ||
	    inet_pton(AF_INET6, s, ip) == 1;
}

static int
scan_port(char const *s, uint16_t *port)
{
	char *end;
	long u = strtol(s, &end, 10);

	if (*s < '0' || *s > '9' || *end || u < 1 || u > 65535)
		return 0;
	*port = u;
	return 1;
}

int
resolvers_address(char const *s, struct resolver *out)
{
	char text[INET6_ADDRSTRLEN + sizeof "[]:65535"];
	struct resolver r = { .port = PORT, .edns = 1 };
	char *colon, *ip = text;

	if (strlen(s) >= sizeof text)
		return 0;
	memcpy(text, s, strlen(s) + 1);
	colon = strrchr(text, ':');
	if (*text == '[') {
		ip++;
		colon = strchr(text, ']');
		if (!colon)
			return 0;
		*colon++ = 0;
		if (!*colon)
			colon = 0;
		else if (*colon != ':')
			return 0;
	} else if (colon && strchr(text, ':') != colon)
		colon = 0;	/* IPv6 without brackets has no port */
	if (colon) {
		*colon = 0;
		if (!scan_port(colon + 1, &r.port))
			return 0;
	}
	if (!scan_ip(ip, r.ip))
		return 0;
	r.trusted = loopback(r.ip);
	*out = r;
	return 1;
}

/* Cuts the next word off *s.  0 at the end. */
static char *
word(char **s, char const *blanks)
{
	char *w = *s + strspn(*s, blanks);

	*s = w + strcspn(w, blanks);
	if (**s)
		*(*s)++ = 0;
	return *w ? w : 0;
}

/* 1; 0 not an address. */
static int
add(struct resolvers *r, char const *s, int trusted)
{
	struct resolver one;

	if (!resolvers_address(s, &one))
		return 0;
	one.trusted |= trusted;
	if (r->n < RESOLVERS_MAX)
		r->at[r->n++] = one;
	return 1;
}

/* A whole file, with a NUL behind it.  1; 0 absent; -1. */
static int
slurp(char const *file, stralloc *sa)
{
	int r = openreadclose(file, sa, 256);

	return r == 1 && !stralloc_0(sa) ? -1 : r;
}

static int
from_environment(struct resolvers *r, char const **what)
{
	char const *env = getenv("DNSCACHEIP");
	char *copy, *s, *w;
	int good = 1;

	if (!env)
		return 1;
	copy = strdup(env);
	if (!copy)
		return -1;
	for (s = copy; good && (w = word(&s, " \t,")); )
		good = add(r, w, 0);
	free(copy);
	if (!good) {
		*what = "$DNSCACHEIP";
		errno = EINVAL;
	}
	return good ? 1 : -1;
}

static int
from_control(struct resolvers *r, char const **what)
{
	char const *home = getenv("POSTERN_HOME");
	stralloc path = { 0 }, text = { 0 };
	char *s, *line, *ip, *more;
	int got = 1;

	if (!stralloc_copys(&path, home && *home ? home : CONF_HOME) ||
	    !stralloc_cats(&path, "/control/resolver") || !stralloc_0(&path))
		return -1;
	*what = "control/resolver";
	got = slurp(path.s, &text);
	for (s = text.s; got == 1 && (line = word(&s, "\r\n")); ) {
		ip = word(&line, " \t");
		more = word(&line, " \t");
		if (!ip || *ip == '#')
			continue;
		if ((more && strcmp(more, "trusted") != 0) ||
		    !add(r, ip, more != 0)) {
			errno = EINVAL;
			got = -1;
		}
	}
	stralloc_free(&path);
	stralloc_free(&text);
	return got == -1 ? -1 : 1;
}

/* Other programs read this file too, and know more of its words: what is not
 * ours, or no address to us, is passed over. */
static int
from_system(struct resolvers *r, char const **what)
{
	stralloc text = { 0 };
	char *s, *line, *key, *value;
	unsigned int i;
	int got, trusted = 0;

	*what = "/etc/resolv.conf";
	got = slurp(*what, &text);
	for (s = text.s; got == 1 && (line = word(&s, "\r\n")); ) {
		key = word(&line, " \t");
		if (!key)
			continue;
		if (strcmp(key, "nameserver") == 0 &&
		    (value = word(&line, " \t")))
			add(r, value, 0);
		else if (strcmp(key, "options") == 0)
			while ((value = word(&line, " \t")))
				trusted |= strcmp(value, "trust-ad") == 0;
	}
	for (i = 0; i < r->n; i++)
		r->at[i].trusted |= trusted;
	stralloc_free(&text);
	return got == -1 ? -1 : 1;
}

int
resolvers_find(struct resolvers *r, char const **what)
{
	r->n = 0;
	*what = "memory";
	if (from_environment(r, what) == -1 ||
	    (!r->n && from_control(r, what) == -1) ||
	    (!r->n && from_system(r, what) == -1))
		return -1;
	if (!r->n)
		add(r, "127.0.0.1", 0);
	return 1;
}
