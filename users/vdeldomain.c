/* vdeldomain: remove a virtual domain and all its mailboxes.
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

static void
must_exist(char const *domain)
{
	struct vdomain d = VDOMAIN_ZERO;
	struct stat st;
	char path[160];
	int r = vdomain_open(&d, domain);

	snprintf(path, sizeof path, "domains/%s", domain);
	/* also what a killed vadddomain has left */
	if (r == 0 && lstat(path, &st) == -1)
		strerr_dief(EXIT_PERM, "no such domain: ", domain);
	if (r == 1 && strcmp(d.name.s, domain) != 0)
		strerr_dief(EXIT_PERM, domain, " is an alias of ", d.name.s);
}

int
main(int argc, char *const *argv)
{
	char const *domain;

	vtool_begin("vdeldomain");
	if (argc != 2 || *argv[1] == '-')
		strerr_dieusage(EXIT_USAGE, "vdeldomain domain");
	domain = vtool_domain(argv[1]);
	must_exist(domain);
	if (domainlist_remove(domain) == -1)
		strerr_diefusys(EXIT_TEMP, "take ", domain,
		    " out of the control files");
	vtool_reload();
	if (vdomain_remove(domain) == -1)
		strerr_diefusys(EXIT_TEMP, "remove domains/", domain);
	return 0;
}
