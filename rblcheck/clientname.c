/* clientname asks dnsq for the name of the address in $TCPREMOTEIP, puts it
 * into $TCPREMOTEHOST and $TCP6REMOTEHOST, and runs a program.  If there is no
 * name, or none in time, it removes these variables.  With -r it asks the
 * client's host for $TCPREMOTEINFO in the same way.
 *
 * Runs as: the user of the service.  Reads: the environment.  Writes: only
 * the environment of the program.  Trusts: the resolver.  Trusted by: access
 * rules that hold names, as far as -p and DNS can be.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/exec.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/ipaddr.h"

#include "rblcheck/dnsrun.h"
#include "rblcheck/ident.h"
#include "rblcheck/lookup.h"

#define USAGE "clientname [-npr] [-t seconds] prog..."

enum {
	NAMES = 8,
	DOMAIN = 253,
	FIELDS = 6,		/* tag type name result security detail */
	SECONDS = 5,
	MAX_SECONDS = 3600
};

struct names {
	char text[NAMES][DOMAIN + 1];
	int has_address[NAMES];
	unsigned int n;
	struct ipaddr address;
};

static void
no_memory(void)
{
	strerr_diefu1x(EXIT_TEMP, "allocate memory");
}

/* Cuts the next word off.  1, 0. */
static int
cut(char const **s, size_t *n, char const **word, size_t *len)
{
	char const *blank = memchr(*s, ' ', *n);

	if (!*n)
		return 0;
	*word = *s;
	*len = blank ? (size_t)(blank - *s) : *n;
	*s += *len + (blank != 0);
	*n -= *len + (blank != 0);
	return 1;
}

/* Goes to the values of a line with an answer; *tag is its number. */
static int
is_answer(char const **s, size_t *n, unsigned int *tag)
{
	char const *word;
	size_t len, i;
	int answer = 0;

	*tag = 0;
	for (i = 0; i < FIELDS; i++) {
		if (!cut(s, n, &word, &len))
			return 0;
		if (i == 0 && (!uint_scan(word, tag) || !*tag))
			return 0;
		if (i == 3)
			answer = len == 6 && memcmp(word, "answer", 6) == 0;
	}
	return answer;
}

static void
take_names(void *data, char const *s, size_t n)
{
	struct names *all = data;
	char const *word;
	unsigned int tag;
	size_t len;

	if (!is_answer(&s, &n, &tag))
		return;
	while (all->n < NAMES && cut(&s, &n, &word, &len)) {
		char *to = all->text[all->n];

		if (len > DOMAIN)
			continue;
		memcpy(to, word, len);
		to[len] = 0;
		/* dnsq has made its letters small */
		if (*to != '.' && to[strspn(to, "abcdefghijklmnopqrstuvwxyz"
		    "0123456789-_.")] == 0)
			all->n++;
	}
}

static void
take_addresses(void *data, char const *s, size_t n)
{
	struct names *all = data;
	struct ipaddr a;
	char const *word;
	unsigned int tag;
	size_t len;

	if (!is_answer(&s, &n, &tag) || tag > all->n)
		return;
	while (cut(&s, &n, &word, &len))
		if (ipaddr_scan(word, len, &a) &&
		    memcmp(&a, &all->address, sizeof a) == 0)
			all->has_address[tag - 1] = 1;
}

/* Asks, and waits for all answers, or until the time is over. */
static void
ask(stralloc const *words, uint64_t until,
    void (*take)(void *, char const *, size_t), struct names *all)
{
	struct dnsrun d = { .fd = -1 };
	struct pollfd p = { -1, POLLIN, 0 };
	uint64_t now = clock_ms();

	if (now >= until)
		return;
	if (dnsrun_start(&d, words, (until - now + 999) / 1000) == -1)
		no_memory();
	while (d.fd != -1 && (now = clock_ms()) < until) {
		p.fd = d.fd;
		if (poll(&p, 1, until - now) == -1 && errno != EINTR)
			break;
		if (p.revents)
			dnsrun_read(&d, take, all);
	}
	dnsrun_end(&d);
}

/* The name to believe, or 0. */
static char const *
find(struct names *all, char const *ip, int paranoid, uint64_t until)
{
	stralloc words = STRALLOC_ZERO;
	char text[IPADDR_FMT];
	unsigned int i;

	if (!ip || !ipaddr_scan(ip, strlen(ip), &all->address))
		return 0;
	ipaddr_fmt(text, &all->address);
	if (dnsrun_ask(&words, "ptr", text) == -1)
		no_memory();
	ask(&words, until, take_names, all);
	if (!paranoid || !all->n)
		return all->n ? all->text[0] : 0;
	words.len = 0;
	for (i = 0; i < all->n; i++)
		if (dnsrun_ask(&words, ipaddr_is4(&all->address) ? "a" :
		    "aaaa", all->text[i]) == -1)
			no_memory();
	ask(&words, until, take_addresses, all);
	for (i = 0; i < all->n; i++)
		if (all->has_address[i])
			return all->text[i];
	return 0;
}

static void
put(char const *variable, char const *name)
{
	if ((name ? setenv(variable, name, 1) : unsetenv(variable)) == -1)
		no_memory();
}

static void
look_up(int paranoid, uint64_t until)
{
	static struct names all;
	char const *name = find(&all, getenv("TCPREMOTEIP"), paranoid, until);

	put("TCPREMOTEHOST", name);
	put("TCP6REMOTEHOST", name);
}

static int
address(char const *variable, struct ipaddr *a)
{
	char const *s = getenv(variable);

	return s && ipaddr_scan(s, strlen(s), a);
}

static int
port(char const *variable, unsigned int *u)
{
	char const *s = getenv(variable);

	return s && uint0_scan(s, u) && *u && *u <= 65535;
}

static void
look_for_owner(uint64_t until)
{
	char name[IDENT_NAME + 1];
	struct ident i;
	int r = address("TCPREMOTEIP", &i.remote) &&
	    address("TCPLOCALIP", &i.local) &&
	    port("TCPREMOTEPORT", &i.remote_port) &&
	    port("TCPLOCALPORT", &i.local_port) && ident_ask(&i, until, name);

	put("TCPREMOTEINFO", r ? name : 0);
	put("TCP6REMOTEINFO", r ? name : 0);
}

int
main(int argc, char const *const *argv)
{
	subgetopt g = SUBGETOPT_ZERO;
	unsigned int seconds = SECONDS;
	int c, paranoid = 0, owner = 0, names = 1;
	uint64_t until;

	PROG = "clientname";
	while ((c = subgetopt_r(argc, argv, "nprt:", &g)) != -1)
		if (c == 'p')
			paranoid = 1;
		else if (c == 'n')
			names = 0;
		else if (c == 'r')
			owner = 1;
		else if (c != 't' || !uint0_scan(g.arg, &seconds) ||
		    seconds > MAX_SECONDS)
			strerr_dieusage(EXIT_USAGE, USAGE);
	argv += g.ind;
	if (!*argv)
		strerr_dieusage(EXIT_USAGE, USAGE);
	until = clock_ms() + 1000 * (uint64_t)seconds;
	if (names)
		look_up(paranoid, until);
	if (owner)
		look_for_owner(until);
	exec(argv);
	strerr_diefusys(EXIT_TEMP, "run ", argv[0]);
}
