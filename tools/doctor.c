#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "tools/checks.h"
#include "tools/finding.h"

#define USAGE "doctor [-j] [-l] [check ...]"

char const *PROG = "doctor";

enum { EXIT_WARNED = 1, EXIT_BAD = 2 };

static struct check {
	char const *name;
	void (*run)(struct machine const *);
} const checks[] = {
	{ "services", check_services },
	{ "files", check_files },
	{ "settings", check_settings },
	{ "ports", check_ports },
	{ "relay", check_relay },
	{ "recipients", check_recipients },
	{ "mailboxes", check_mailboxes },
	{ "scanner", check_scanner },
	{ "authors", check_authors },
	{ "tls", check_certificate },
	{ "resolver", check_resolver },
	{ "dns", check_dns },
	{ "lists", check_lists },
	{ "queue", check_queue },
	{ "disk", check_disk },
	{ "clock", check_clock },
	{ "leftovers", check_leftovers }
};
enum { CHECKS = sizeof checks / sizeof *checks };

static int
wanted(char const *name, char *const *names)
{
	if (!*names)
		return 1;
	while (*names)
		if (strcmp(*names++, name) == 0)
			return 1;
	return 0;
}

static void
list(void)
{
	unsigned int i;

	for (i = 0; i < CHECKS; i++)
		puts(checks[i].name);
	exit(fflush(stdout) ? EXIT_TEMP : EXIT_DONE);
}

static void
known(char const *name)
{
	unsigned int i;

	for (i = 0; i < CHECKS; i++)
		if (strcmp(checks[i].name, name) == 0)
			return;
	strerr_dief2x(EXIT_USAGE, "no such check: ", name);
}

static char *const *
options(int argc, char *const *argv)
{
	int json = 0, i = 1;

	for (; i < argc && *argv[i] == '-'; i++) {
		if (strcmp(argv[i], "-j") == 0 ||
		    strcmp(argv[i], "--json") == 0)
			json = 1;
		else if (strcmp(argv[i], "-l") == 0)
			list();
		else
			strerr_dieusage(EXIT_USAGE, USAGE);
	}
	finding_style(json, !json && isatty(1) && !getenv("NO_COLOR"));
	argv += i;
	for (i = 0; argv[i]; i++)
		known(argv[i]);
	return argv;
}

/* Says what is wrong with a running installation, why that matters, and how
 * to mend it.  Changes nothing.
 *
 * Runs as: root
 * Reads:   settings, tables, owners of mailboxes, the state of queue and
 *          services; answers of
 *          dnsq, of our own doors, and of the programs it asks
 * Writes:  standard output
 * Trusts:  the programs of this installation
 * Trusted by: the administrator
 */
int
main(int argc, char *const *argv)
{
	struct machine m = MACHINE_ZERO;
	char *const *names = options(argc, argv);
	enum grade worst;
	unsigned int i;
	int r;

	sig_ignore(SIGPIPE);
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	setenv("POSTERN_HOME", home_path(), 1);
	r = checks_prepare(&m);
	if (r == -1)
		strerr_diefu1sys(EXIT_TEMP, "read control/me, users/mailbox "
		    "or the addresses of this machine");
	if (r == 0) {
		finding_check("settings");
		finding_bad("no mail comes in and none goes out; nothing else "
		    "was looked at", "put this host's full name into "
		    "control/me", "control/me is missing or empty");
	}
	for (i = 0; r && i < CHECKS; i++) {
		if (!wanted(checks[i].name, names))
			continue;
		finding_check(checks[i].name);
		checks[i].run(&m);
	}
	worst = finding_end();
	if (fflush(stdout))
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	return worst == FINDING_BAD ? EXIT_BAD :
	    worst == FINDING_WARN ? EXIT_WARNED : EXIT_DONE;
}
