/* vdeluser: remove a user of a virtual domain, and the mailbox.
 *
 * Runs as: root.  Reads: users/cdb.  Writes: what vadduser writes.  Trusts:
 * its caller.  Trusted by: the administrator.
 */
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/vtool.h"

int
main(int argc, char *const *argv)
{
	struct vdomain d = VDOMAIN_ZERO;
	struct vpasswd p = VPASSWD_ZERO;
	char *name, *domain;
	int r;

	vtool_begin("vdeluser");
	if (argc != 2 || *argv[1] == '-')
		strerr_dieusage(EXIT_USAGE, "vdeluser user@domain");
	name = vtool_address(argv[1], &domain);
	vtool_lock();
	vtool_change(&d, domain);
	r = vdomain_user(&d, name, &p);
	/* a directory alone: the last one was killed on its way */
	if (r == 0 && !vdomain_is_left(&d, name))
		vtool_user(&d, name, &p);
	if (r != 0 && vdomain_set(&d, name, 0) != 1)
		strerr_diefusys(EXIT_TEMP, "remove ", argv[1]);
	if (r != 1) {
		p.name = name;
		p.dir = "";
	}
	if ((r == 1 || vdomain_is_left(&d, name)) &&
	    vdomain_remove_user(&d, &p) == -1)
		strerr_diefusys(EXIT_TEMP, "remove ", d.path.s, "/",
		    vpasswd_below(&p, d.path.s));
	vdomain_settled(&d);
	vtool_not_full(&d, name);
	return 0;
}
