#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "tools/ask.h"
#include "tools/checks.h"

static int
within(struct ipaddr const *a, char const *net, unsigned int bits)
{
	struct ipaddr n;

	return ipaddr_scan(net, strlen(net), &n) && ipaddr_within(a, &n, bits);
}

int
checks_private(struct ipaddr const *a)
{
	return within(a, "10.0.0.0", 8) || within(a, "172.16.0.0", 12) ||
	    within(a, "192.168.0.0", 16) || within(a, "100.64.0.0", 10) ||
	    within(a, "169.254.0.0", 16) || within(a, "127.0.0.0", 8) ||
	    within(a, "fc00::", 7) || within(a, "fe80::", 10) ||
	    within(a, "::1", 128);
}

unsigned int
checks_setting(char const *file, unsigned int otherwise)
{
	unsigned int u;

	return control_uint(file, &u) == 1 ? u : otherwise;
}

/* Does a line of that file name this program? */
static int
names(char const *file, char const *program)
{
	stralloc list = STRALLOC_ZERO;
	int found = 0, r = control_list(file, &list);
	char const *slash;
	size_t i;

	for (i = 0; r == 1 && i < list.len; i += strlen(list.s + i) + 1) {
		slash = strrchr(list.s + i, '/');
		found |= !strcmp(slash ? slash + 1 : list.s + i, program);
	}
	stralloc_free(&list);
	return found;
}

int
checks_filter(char const *name)
{
	static char const first[] = "service/smtpd/env/QMAILQUEUE";
	static char const row[] = "control/queuefilters";

	if (names(first, name))
		return 1;
	/* dmarcq goes on to scanq by itself, unless it stands in the row */
	return names(first, "dmarcq") && (names(row, "dmarcq") ?
	    names(row, name) : !strcmp(name, "scanq"));
}

static int
find_addresses(struct machine *m)
{
	struct ifaddrs *all, *i;
	struct ipaddr a;
	unsigned int port;

	if (getifaddrs(&all) == -1)
		return -1;
	for (i = all; i && m->n < CHECKS_ADDRESSES; i = i->ifa_next) {
		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
		    (i->ifa_flags & IFF_LOOPBACK) ||
		    !ipaddr_from(i->ifa_addr, &a, &port) ||
		    within(&a, "fe80::", 10))
			continue;
		m->addresses[m->n++] = a;
	}
	freeifaddrs(all);
	return 1;
}

/* users/mailbox/DOMAIN.cdb */
static int
find_domains(struct machine *m)
{
	DIR *d = opendir("users/mailbox");
	struct dirent *e;
	unsigned int n = 0;
	size_t len;
	int r = 1;

	if (!d)
		return -1;
	while (r == 1 && n < CHECKS_DOMAINS && (e = readdir(d))) {
		len = strlen(e->d_name);
		if (len < 5 || strcmp(e->d_name + len - 4, ".cdb") != 0)
			continue;
		n++;
		if (!stralloc_catb(&m->domains, e->d_name, len - 4) ||
		    !stralloc_0(&m->domains))
			r = -1;
	}
	closedir(d);
	return r;
}

int
checks_prepare(struct machine *m)
{
	int r = control_line("control/me", &m->me);

	if (r != 1)
		return r;
	if (!stralloc_0(&m->me))
		return -1;
	return find_addresses(m) == 1 ? find_domains(m) : -1;
}

char const *
checks_strict(struct machine const *m)
{
	char const *d = m->domains.s;
	stralloc out = STRALLOC_ZERO;
	char to[300];
	char const *argv[] = { "bin/rcptcheck", to, 0 };
	int code = EXIT_PERM + 1;

	for (; d && d < m->domains.s + m->domains.len; d += strlen(d) + 1) {
		snprintf(to, sizeof to, "relaytest=40relaytest@%.255s", d);
		code = ask(argv, 20, &out);
		if (code == EXIT_PERM)
			break;
	}
	stralloc_free(&out);
	return code == EXIT_PERM ? d : m->me.s;
}
