#include "rules/connenv.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/types.h>

static char const *const ours[] = {
	"PROTO", "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST", "TCPREMOTEIP",
	"TCPREMOTEPORT", "TCPREMOTEHOST", "TCPREMOTEINFO", "TCP6LOCALIP",
	"TCP6LOCALPORT", "TCP6LOCALHOST", "TCP6REMOTEIP", "TCP6REMOTEPORT",
	"TCP6REMOTEHOST", "TCP6REMOTEINFO", "TCP6INTERFACE",
	"POSTERN_SESSION", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"
};
enum { OURS = sizeof ours / sizeof *ours };

static struct {
	char const *localhost;
	char const **base;	/* what stays the same */
	size_t nbase;
} env;

static int
same_name(char const *a, char const *b)
{
	size_t n = strcspn(b, "=");

	return strncmp(a, b, n) == 0 && a[n] == '=';
}

int
connenv_init(char const *const *from, char const *localhost)
{
	size_t n = 0, i;

	while (from[n])
		n++;
	env.localhost = localhost;
	env.base = malloc((n + 1) * sizeof *env.base);
	if (!env.base)
		return -1;
	for (env.nbase = 0; *from; from++) {
		for (i = 0; i < OURS && !same_name(*from, ours[i]); i++)
			continue;
		if (i == OURS)
			env.base[env.nbase++] = *from;
	}
	return 1;
}

static int
make_room(struct connenv *e, size_t extra)
{
	size_t need = env.nbase + OURS + extra + 1;
	char const **more;

	if (need <= e->room)
		return 1;
	more = realloc(e->all, need * sizeof *more);
	if (!more)
		return -1;
	e->all = more;
	e->room = need;
	return 1;
}

static void
put(struct connenv *e, char const *name, char const *value)
{
	size_t n = strlen(name), len = strlen(value) + 1;
	char *s = e->text + e->used;

	if (n + 1 + len > sizeof e->text - e->used)
		return;
	memcpy(s, name, n);
	s[n] = '=';
	memcpy(s + n + 1, value, len);
	e->all[e->n++] = s;
	e->used += n + 1 + len;
}

/* Both forms of an address: dotted quad in TCP, mapped in TCP6. */
static void
put_address(struct connenv *e, char const *name, char const *name6,
    struct ipaddr const *a)
{
	enum { MAPPED = 7 };
	char text[MAPPED + IPADDR_FMT] = "::ffff:";

	ipaddr_fmt(text + MAPPED, a);
	put(e, name, text + MAPPED);
	put(e, name6, ipaddr_is4(a) ? text : text + MAPPED);
}

static void
put_port(struct connenv *e, char const *name, char const *name6,
    unsigned int port)
{
	char text[UINT_FMT];

	text[uint_fmt(text, port)] = 0;
	put(e, name, text);
	put(e, name6, text);
}

static void
put_connection(struct connenv *e, struct connection const *c)
{
	char interface[IF_NAMESIZE];

	put(e, "PROTO", ipaddr_is4(&c->remote) ? "TCP" : "TCP6");
	put_address(e, "TCPLOCALIP", "TCP6LOCALIP", &c->local);
	put_port(e, "TCPLOCALPORT", "TCP6LOCALPORT", c->local_port);
	put_address(e, "TCPREMOTEIP", "TCP6REMOTEIP", &c->remote);
	put_port(e, "TCPREMOTEPORT", "TCP6REMOTEPORT", c->remote_port);
	if (env.localhost) {
		put(e, "TCPLOCALHOST", env.localhost);
		put(e, "TCP6LOCALHOST", env.localhost);
	}
	if (c->scope && if_indextoname(c->scope, interface))
		put(e, "TCP6INTERFACE", interface);
	put(e, "POSTERN_SESSION", c->session);
}

/* GREETDELAY is for listen alone: who waits behind it would wait twice. */
static void
put_variable(struct connenv *e, char const *s)
{
	size_t i;

	if (same_name(s, "GREETDELAY"))
		return;
	for (i = 0; i < e->n && !same_name(e->all[i], s); i++)
		continue;
	e->all[i] = s;
	if (i == e->n)
		e->n++;
}

int
connenv_build(struct connenv *e, struct connection const *c,
    struct rule const *r)
{
	struct rule copy;
	char const *s;
	size_t pos = 0, variables = 0;

	if (!stralloc_copyb(&e->rule, r ? r->data : "", r ? r->len : 0))
		return -1;
	rule_read(&copy, e->rule.s, e->rule.len);
	while (rule_variable(&copy, &pos, &s))
		variables++;
	if (make_room(e, variables) == -1)
		return -1;
	memcpy(e->all, env.base, env.nbase * sizeof *env.base);
	e->n = env.nbase;
	e->used = 0;
	put_connection(e, c);
	for (pos = 0; rule_variable(&copy, &pos, &s); )
		put_variable(e, s);
	e->all[e->n] = 0;
	return 1;
}
