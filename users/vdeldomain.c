/* vdeldomain: remove a virtual domain, all its mailboxes and other names; or
 * one other name alone.
 *
 * Runs as: root.  Reads: users/assign, control/.  Writes: what vadddomain
 * writes.  Trusts: its caller.  Trusted by: the administrator.
 */
#include <string.h>
#include <sys/stat.h>
#include <stdio.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/domainlist.h"
#include "users/vtool.h"

/* Is it another name of a domain? */
static int
is_alias(char const *domain)
{
	struct vdomain d = VDOMAIN_ZERO;
	struct stat st;
	char path[160];
	int r = vdomain_open(&d, domain);

	snprintf(path, sizeof path, "domains/%s", domain);
	/* also what a killed vadddomain has left */
	if (r == 0 && lstat(path, &st) == -1)
		strerr_dief(EXIT_PERM, "no such domain: ", domain);
	if (r == 1 && strcmp(d.name.s, domain) == 0)
		vtool_not_full(&d, 0);
	return r == 1 && strcmp(d.name.s, domain) != 0;
}

static void
forget(char const *domain)
{
	if (domainlist_remove(domain) == -1)
		strerr_diefusys(EXIT_TEMP, "take ", domain,
		    " out of the control files");
}

static void
forget_alias(char const *name, void *arg)
{
	char const *domain = arg;
	struct vdomain d = VDOMAIN_ZERO;

	if (strcmp(name, domain) && vdomain_open(&d, name) == 1 &&
	    strcmp(d.name.s, domain) == 0)
		forget(name);
	vdomain_close(&d);
}

int
main(int argc, char *const *argv)
{
	char *domain;
	int alias;

	vtool_begin("vdeldomain");
	if (argc != 2 || *argv[1] == '-')
		strerr_dieusage(EXIT_USAGE, "vdeldomain domain");
	domain = vtool_domain(argv[1]);
	vtool_lock();
	alias = is_alias(domain);
	if (!alias)
		vtool_domains(1, forget_alias, domain);
	forget(domain);
	vtool_reload();
	if (!alias && vdomain_remove(domain) == -1)
		strerr_diefusys(EXIT_TEMP, "remove domains/", domain);
	return 0;
}
