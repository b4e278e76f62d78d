#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/resolve.h"
#include "tools/ask.h"
#include "tools/checks.h"
#include "tools/dkimrecords.h"

#define USAGE "dnsrecords [-a address ...] [domain ...]"

char const *PROG = "dnsrecords";

enum { STRING = 255 };		/* bytes: RFC 1035 3.3 */

/* RFC 6186, RFC 8314: where mail programs look for their servers. */
static struct door {
	char const *service, *name, *port;
	unsigned int usual;
} const doors[] = {
	{ "submission", "_submission._tcp", "control/submissionport", 587 },
	{ "smtps", "_submissions._tcp", "control/smtpsport", 465 },
	{ "pop3s", "_pop3s._tcp", "control/pop3sport", 995 }
};

/* 4.3.2.1.in-addr.arpa, and so on (RFC 1035 3.5, RFC 3596 2.5) */
static void
print_reverse(struct ipaddr const *a)
{
	int i;

	if (ipaddr_is4(a)) {
		printf("%u.%u.%u.%u.in-addr.arpa.", a->b[15], a->b[14],
		    a->b[13], a->b[12]);
		return;
	}
	for (i = 15; i >= 0; i--)
		printf("%x.%x.", a->b[i] & 15, a->b[i] >> 4);
	printf("ip6.arpa.");
}

static void
print_host(struct machine const *m)
{
	char text[IPADDR_FMT];
	unsigned int i, shown = 0;

	printf("; this host\n");
	for (i = 0; i < m->n; i++) {
		ipaddr_fmt(text, &m->addresses[i]);
		if (checks_private(&m->addresses[i])) {
			printf("; %s is of no use to others: give the public "
			    "address with -a\n", text);
			continue;
		}
		shown++;
		printf("%s. IN %s %s\n", m->me.s,
		    ipaddr_is4(&m->addresses[i]) ? "A" : "AAAA", text);
	}
	if (!shown)
		printf("; no public address is known: give it with -a\n");
	printf("%s. IN TXT \"v=spf1 a -all\"\n", m->me.s);
	if (shown)
		printf("\n; for whoever gives you the address\n");
	for (i = 0; i < m->n; i++)
		if (!checks_private(&m->addresses[i])) {
			print_reverse(&m->addresses[i]);
			printf(" IN PTR %s.\n", m->me.s);
		}
}

/* DANE (RFC 7672), for those whose zone is signed. */
static void
print_key(struct machine const *m)
{
	static char const *const argv[] = { "bin/certinfo", "tls/default.pem",
	    0 };
	stralloc out = STRALLOC_ZERO;
	size_t pos = 0;
	char *line;

	if (access(argv[1], F_OK) == -1 || ask(argv, 30, &out) != 0)
		return;
	while ((line = ask_line(&out, &pos)))
		if (strncmp(line, "key-sha256 ", 11) == 0)
			printf("\n; only if the zone is signed with DNSSEC, "
			    "and anew with each new key\n"
			    "_25._tcp.%s. IN TLSA 3 1 1 %s\n", m->me.s,
			    line + 11);
	stralloc_free(&out);
}

static int
is_on(char const *service)
{
	char path[64];

	snprintf(path, sizeof path, "service/%s/run", service);
	if (access(path, F_OK) == -1)
		return 0;
	snprintf(path, sizeof path, "service/%s/down", service);
	return access(path, F_OK) == -1;
}

/* The keys that sign mail: strings of 255 bytes (RFC 6376 3.6.2.2). */
static void
print_signers(char const *domain)
{
	struct dkimrecord k = DKIMRECORD_ZERO;
	DIR *d = dkimrecords_open();
	size_t i;
	int r = 0;

	while (d && (r = dkimrecords_next(d, domain, &k)) == 1) {
		printf("%s. IN TXT (", k.name.s);
		for (i = 0; i < k.value.len - 1; i += STRING)
			printf(" \"%.*s\"", STRING, k.value.s + i);
		printf(" )\n");
	}
	if (r == -1)
		strerr_diefu1sys(EXIT_TEMP, "read dkim");
	stralloc_free(&k.name);
	stralloc_free(&k.value);
}

static void
print_domain(struct machine const *m, char const *domain)
{
	size_t i;

	printf("\n; %s\n", domain);
	printf("%s. IN MX 10 %s.\n", domain, m->me.s);
	printf("%s. IN TXT \"v=spf1 mx -all\"\n", domain);
	printf("_dmarc.%s. IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@"
	    "%s\"\n", domain, domain);
	print_signers(domain);
	for (i = 0; i < sizeof doors / sizeof *doors; i++)
		if (is_on(doors[i].service))
			printf("%s.%s. IN SRV 0 1 %u %s.\n", doors[i].name,
			    domain, checks_setting(doors[i].port,
			    doors[i].usual), m->me.s);
}

static int
options(int argc, char *const *argv, struct machine *m)
{
	struct ipaddr a;
	int c, given = 0;

	while ((c = getopt(argc, argv, "a:")) != -1) {
		if (c != 'a' || !ipaddr_scan(optarg, strlen(optarg), &a) ||
		    given == CHECKS_ADDRESSES)
			strerr_dieusage(EXIT_USAGE, USAGE);
		m->addresses[given++] = a;
		m->n = given;
	}
	for (c = optind; c < argc; c++)
		if (!resolve_valid(argv[c], strlen(argv[c])))
			strerr_dief2x(EXIT_USAGE, "not a domain: ", argv[c]);
	return optind;
}

/* Prints the DNS records that a zone needs for this server, as lines of a
 * zone file.
 *
 * Runs as: root, or whoever may read control/
 * Reads:   control/me, control/dkim, dkim/, users/mailbox/, the machine's
 *          addresses, certinfo
 * Writes:  standard output
 * Trusts:  control/
 * Trusted by: nobody
 */
int
main(int argc, char *const *argv)
{
	struct machine m = MACHINE_ZERO;
	char const *d;
	int i, r;

	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	r = checks_prepare(&m);
	if (r == 0)
		strerr_dief1x(EXIT_TEMP, "control/me names no host");
	if (r == -1)
		strerr_diefu1sys(EXIT_TEMP, "read control/me, users/mailbox "
		    "or the addresses of this machine");
	i = options(argc, argv, &m);
	print_host(&m);
	print_key(&m);
	for (; argv[i]; i++)
		print_domain(&m, argv[i]);
	for (d = m.domains.s; optind == argc && d &&
	    d < m.domains.s + m.domains.len; d += strlen(d) + 1)
		print_domain(&m, d);
	if (fflush(stdout))
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	return EXIT_DONE;
}
