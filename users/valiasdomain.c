/* valiasdomain: make a second name for a virtual domain.
 *
 * Runs as: root.  Reads: users/cdb.  Writes: users/assign and what usersmake
 * makes of it, control/locals, virtualdomains, rcpthosts, morercpthosts.
 * Trusts: its caller.  Trusted by: the administrator.
 */
#include <string.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/domainlist.h"
#include "users/vtool.h"

#define USAGE "valiasdomain alias-domain domain"

static int
exists(char const *domain, struct vdomain *d)
{
	int r = vdomain_open(d, domain);

	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "open the domain ", domain);
	return r;
}

int
main(int argc, char *const *argv)
{
	struct vdomain a = VDOMAIN_ZERO, b = VDOMAIN_ZERO, *d = &b;
	char *alias, *real;
	int has_a, has_b;

	vtool_begin("valiasdomain");
	if (argc != 3 || *argv[1] == '-')
		strerr_dieusage(EXIT_USAGE, USAGE);
	alias = vtool_domain(argv[1]);
	real = vtool_domain(argv[2]);
	vtool_lock();
	has_a = exists(alias, &a);
	has_b = exists(real, &b);
	if (has_a && has_b)
		strerr_dief(EXIT_PERM, "both domains exist already: ", alias,
		    " and ", real);
	if (!has_a && !has_b)
		strerr_dief(EXIT_PERM, "no such domain: ", real);
	if (has_a) {		/* vpopmail takes them in either order */
		alias = real;
		d = &a;
	}
	if (domainlist_add(d, alias) == 1) {
		vtool_reload();
		return 0;
	}
	strerr_diefusys(EXIT_TEMP, "make ", alias, " an alias of ", d->name.s,
	    ": nothing is changed");
}
