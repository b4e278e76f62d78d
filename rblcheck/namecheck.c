/* namecheck asks the DNS lists of names that $RHSBL defines about up to four
 * names, all at once, and prints what $RBLSMTPD would hold: the text for the
 * client, with a hyphen in front if it is to be refused for good; nothing if
 * no list has any of the names.  smtpd runs it.
 *
 * Runs as: smtpd's user.  Reads: the environment; names that a client gave,
 * as arguments.  Writes: standard output and error.  Trusts: $RHSBL, and the
 * lists about whom to refuse.  Trusted by: smtpd, about refusals alone.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/session.h"

#include "rblcheck/answers.h"
#include "rblcheck/blocked.h"
#include "rblcheck/lists.h"
#include "rblcheck/lookup.h"
#include "rblcheck/report.h"

enum {
	NAMES = 4,
	DOMAIN = 253,		/* RFC 1035 2.3.4, as text */
	DEADLINE = 4,
	MAX_SECONDS = 3600
};

/* What one name is asked about. */
struct name {
	char const *text;
	struct lists lists;
	struct lookup lookup;
	struct verdict verdict;
	int done;
};

static void
no_memory(void)
{
	strerr_diefu1x(EXIT_TEMP, "allocate memory");
}

/* Could a list have it? */
static int
is_domain(char const *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
	size_t i, label = 0;

	if (!n || s[n] || n > DOMAIN || !strchr(s, '.'))
		return 0;
	for (i = 0; i < n; i++) {
		if (s[i] == '.' && !label)
			return 0;
		label = s[i] == '.' ? 0 : label + 1;
		if (label > 63)
			return 0;
	}
	return label != 0;
}

static void
read_lists(struct lists *l, char *s)
{
	char const *why;
	char *end;
	int r;

	for (; *s; s = end) {
		end = s + strcspn(s, "\n");
		if (*end)
			*end++ = 0;
		if (!*s)
			continue;
		r = lists_add(l, LISTS_BLOCK, s, &why);
		if (r == -1)
			no_memory();
		if (r == 0)
			strerr_dief(EXIT_USAGE, "$RHSBL: ", s, ": ", why);
	}
}

/* Those of the lists whose questions about it are no longer than a name may
 * be. */
static void
start(struct name *n, struct lists const *all, unsigned int seconds)
{
	unsigned int i;

	for (i = 0; i < all->n; i++)
		if (strlen(n->text) + 1 + strlen(all->at[i].base) <= DOMAIN)
			n->lists.at[n->lists.n++] = all->at[i];
	n->lookup.answers.enough = 1;
	if (lookup_start(&n->lookup, &n->lists, n->text, seconds) == -1)
		no_memory();
}

static int
all_done(struct name *name, unsigned int n)
{
	int all = 1;

	while (n--) {
		if (!name[n].done)
			name[n].done = lookup_verdict(&name[n].lookup,
			    &name[n].verdict);
		all &= name[n].done;
	}
	return all;
}

static void
wait_for(struct name *name, unsigned int n)
{
	struct pollfd p[NAMES];
	uint64_t now, until = name->lookup.deadline;
	unsigned int i;

	while (!all_done(name, n)) {
		now = clock_ms();
		for (i = 0; i < n; i++) {
			p[i].fd = name[i].done ? -1 : name[i].lookup.dns.fd;
			p[i].events = POLLIN;
		}
		if (poll(p, n, until > now ? until - now : 0) == -1 &&
		    errno != EINTR)
			strerr_diefusys(EXIT_TEMP, "poll");
		for (i = 0; i < n; i++)
			if (p[i].fd != -1 && p[i].revents)
				lookup_read(&name[i].lookup);
	}
}

static void
print(struct name const *n)
{
	struct verdict const *v = &n->verdict;
	stralloc text = STRALLOC_ZERO, value = STRALLOC_ZERO;

	if (answers_text(&n->lookup.answers, v, n->text, &text) == -1 ||
	    (!text.len && !stralloc_cats(&text, "refused")) ||
	    blocked_value(&value, v->bounce, text.s, text.len) == -1)
		no_memory();
	if (allwrite(1, value.s, value.len) < value.len)
		strerr_diefusys(EXIT_TEMP, "write the answer");
	stralloc_free(&text);
	stralloc_free(&value);
}

static unsigned int
seconds(int argc, char const *const *argv, subgetopt *g)
{
	unsigned int u = DEADLINE;
	int c;

	while ((c = subgetopt_r(argc, argv, "d:", g)) != -1)
		if (c != 'd' || !uint0_scan(g->arg, &u) || !u ||
		    u > MAX_SECONDS)
			strerr_dieusage(EXIT_USAGE,
			    "namecheck [-d deadline] name...");
	return u;
}

int
main(int argc, char const *const *argv)
{
	static struct lists lists;
	static struct name name[NAMES];
	subgetopt g = SUBGETOPT_ZERO;
	char *definitions = getenv("RHSBL");
	struct name const *decides = 0;
	unsigned int deadline, n = 0, i;
	uint64_t began = clock_ms();

	PROG = "namecheck";
	deadline = seconds(argc, argv, &g);
	if (definitions)
		read_lists(&lists, definitions);
	for (argv += g.ind; lists.n && *argv && n < NAMES; argv++)
		if (is_domain(*argv))
			name[n++].text = *argv;
	if (!n)
		return 0;
	session_id();
	for (i = 0; i < n; i++)
		start(name + i, &lists, deadline);
	wait_for(name, n);
	for (i = 0; i < n; i++) {
		lookup_end(&name[i].lookup);
		if (name[i].verdict.block && !decides)
			decides = name + i;
		report_answers(&name[i].lookup.answers, "name", name[i].text,
		    name[i].verdict.block ? "block" : "pass",
		    clock_ms() - began);
	}
	if (decides)
		print(decides);
	return 0;
}
