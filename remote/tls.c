#include "remote/tls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/resolve.h"
#include "lib/spawn.h"

enum { ARGUMENTS = 160, RECORDS = 64 };

extern char **environ;

int
tls_asks_dane(struct smtproute const *route)
{
	unsigned int policy = route->policy & SMTPROUTES_TLS;

	return !policy || policy & (SMTPROUTES_DANE | SMTPROUTES_DANEONLY);
}

/* Where nothing is said: a password goes to whom it is meant for. */
static unsigned int
policy_of(struct smtproute const *route, int loopback)
{
	unsigned int policy = route->policy & SMTPROUTES_TLS;

	if (policy)
		return policy;
	return route->user_len && !loopback &&
	    !(route->policy & SMTPROUTES_PLAINTEXT) ?
	    SMTPROUTES_VERIFY : SMTPROUTES_DANE;
}

/* RFC 7672 2.1.1, 3.1: which records can be used. */
static int
usable(char const *s)
{
	size_t n = strlen(s);

	if (n < 8 || (*s != '2' && *s != '3') || s[1] != ':' ||
	    (s[2] != '0' && s[2] != '1') || s[3] != ':' || s[5] != ':')
		return 0;
	n -= 6;
	return s[4] == '0' ? n <= 65536 : s[4] == '1' ? n == 64 :
	    s[4] == '2' && n == 128;
}

static int
take_records(struct tls *t, stralloc const *all)
{
	size_t i, n, taken = 0;

	for (i = 0; i < all->len && taken < RECORDS; i += n) {
		n = strlen(all->s + i) + 1;
		if (!usable(all->s + i))
			continue;
		if (!stralloc_catb(&t->tlsa, all->s + i, n))
			return -1;
		taken++;
	}
	return 1;
}

static int
no_dane(struct report *p, char const *address, char const *what)
{
	report_temp(p, "Not sent to ", address, ": ", what, ". (#4.7.0)\n");
	return 0;
}

/* RFC 7672 3.2.2: with an authority, the certificate may also name the domain
 * itself.  1, 0, -1 no memory.
 */
static int
by_dns(struct tls *t, struct tls_peer const *to, int only, struct report *p)
{
	if (to->host->dane == -1)
		return no_dane(p, to->address, "DNS does not say for now which "
		    "certificate it has (DANE)");
	if (to->host->dane == 0 && only)
		return no_dane(p, to->address, "the policy dane-only asks for "
		    "a TLSA record, and DNS has none that is secure");
	if (to->host->dane == 0) {
		t->level = TLS_MAY;
		return 1;
	}
	t->why = "its TLSA record";
	if (take_records(t, &to->host->tlsa) == -1)
		return -1;
	if (!t->tlsa.len && only)
		return no_dane(p, to->address, "the policy dane-only asks for "
		    "a TLSA record that can be used, and DNS has none");
	if (t->tlsa.len && !to->route->relay_len &&
	    resolve_valid(to->domain, strlen(to->domain)) &&
	    !(stralloc_cats(&t->name, to->domain) && stralloc_0(&t->name)))
		return -1;
	return 1;
}

/* A certificate, or a key, with this digest: as records with usage 3 say it. */
static int
by_digest(struct tls *t, struct smtproute const *route)
{
	static char const *const kind[] = { "3:0:1:", "3:1:1:" };
	size_t i, k;

	for (k = 0; k < 2; k++) {
		if (!stralloc_cats(&t->tlsa, kind[k]))
			return -1;
		for (i = 0; i < route->tls_len; i++)
			if (route->tls[i] != ':' &&
			    !stralloc_append(&t->tlsa, route->tls[i]))
				return -1;
		if (!stralloc_0(&t->tlsa))
			return -1;
	}
	return 1;
}

static int
by_authority(struct tls *t, struct smtproute const *route, char const *name)
{
	t->verify = 1;
	return (route->tls_len ?
	    stralloc_copyb(&t->name, route->tls, route->tls_len) :
	    stralloc_copys(&t->name, name)) && stralloc_0(&t->name) ? 1 : -1;
}

static void
start_over(struct tls *t, struct smtproute const *route)
{
	t->level = TLS_MUST;
	t->at_once = !!(route->policy & SMTPROUTES_SMTPS);
	t->verify = 0;
	t->name.len = t->tlsa.len = 0;
	t->why = route->policy & SMTPROUTES_TLS ? "its policy" :
	    "the password";
}

/* MTA-STS speaks where nobody else does: RFC 8461 2.  1, 0, -1 no memory. */
static int
decide(struct tls *t, struct tls_peer const *to, struct report *p)
{
	unsigned int policy = policy_of(to->route, to->loopback);
	char const *name = *t->server ? t->server : to->address;

	switch (policy) {
	case SMTPROUTES_NOTLS:
		t->level = TLS_NO;
		return 1;
	case SMTPROUTES_MAY:
		t->level = TLS_MAY;
		return 1;
	case SMTPROUTES_VERIFY:
		return by_authority(t, to->route, name);
	case SMTPROUTES_PIN:
		return by_digest(t, to->route);
	case SMTPROUTES_ENCRYPT:
		return 1;
	default:
		if (!to->sts || to->host->dane)
			return by_dns(t, to, policy == SMTPROUTES_DANEONLY, p);
		t->why = "the policy of its domain (MTA-STS)";
		return by_authority(t, to->route, name);
	}
}

int
tls_wish(struct tls *t, struct tls_peer const *to, struct report *p)
{
	int r;

	start_over(t, to->route);
	t->server = to->host->dane == 1 ? to->host->base : to->host->name;
	r = decide(t, to, p);
	if (r == -1)
		report_temp(p, "Out of memory. (#4.3.0)\n");
	if (t->at_once && t->level == TLS_MAY)
		t->level = TLS_MUST;
	return r == 1;
}

static void
arguments(struct tls const *t, char const *seconds, char const **argv)
{
	size_t n = 0, i;

	argv[n++] = "bin/tlsconnect";
	argv[n++] = "-t";
	argv[n++] = seconds;
	if (*t->server) {
		argv[n++] = "-s";
		argv[n++] = t->server;
	}
	if (t->verify)
		argv[n++] = "-v";
	for (i = 0; i < t->name.len; i += strlen(t->name.s + i) + 1) {
		argv[n++] = "-n";
		argv[n++] = t->name.s + i;
	}
	for (i = 0; i < t->tlsa.len; i += strlen(t->tlsa.s + i) + 1) {
		argv[n++] = "-d";
		argv[n++] = t->tlsa.s + i;
	}
	argv[n] = 0;
}

int
tls_start(struct tls const *t, int fd, unsigned int seconds, pid_t *pid)
{
	char const *argv[ARGUMENTS];
	char number[UINT_FMT];
	struct spawn_fd fds[2];
	int s[2], e;

	number[uint_fmt(number, seconds)] = 0;
	arguments(t, number, argv);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    s) == -1)
		return -1;
	fds[0].from = fd;
	fds[0].to = 0;
	fds[1].from = s[1];
	fds[1].to = 1;
	*pid = spawn(argv, (char const *const *)environ, fds, 2);
	e = errno;
	close(s[1]);
	if (*pid != -1)
		return s[0];
	*pid = 0;
	close(s[0]);
	errno = e;
	return -1;
}

int
tls_result(io *i, char result[TLS_RESULT])
{
	static char const broken[] = "tlsconnect failed";
	char const *s;
	size_t n, k;

	if (io_line(i, &s, &n, TLS_RESULT - 1) != 1 || n < 2 ||
	    (*s != '+' && *s != '-')) {
		memcpy(result, broken, sizeof broken);
		return 0;
	}
	for (k = 1; k < n; k++)
		result[k - 1] = s[k] >= 32 && s[k] < 127 ? s[k] : '?';
	result[n - 1] = 0;
	return *s == '+';
}
