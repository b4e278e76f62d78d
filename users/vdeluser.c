/* vdeluser: remove a user of a virtual domain, and the mailbox.
 *
 * Runs as: root.  Reads: users/cdb.  Writes: what vadduser writes.  Trusts:
 * its caller.  Trusted by: the administrator.
 */
#include <fcntl.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/vtool.h"

int
main(int argc, char *const *argv)
{
	struct vdomain d = VDOMAIN_ZERO;
	struct vpasswd p = VPASSWD_ZERO;
	char *name, *domain;

	vtool_begin("vdeluser");
	if (argc != 2 || *argv[1] == '-')
		strerr_dieusage(EXIT_USAGE, "vdeluser user@domain");
	name = vtool_address(argv[1], &domain);
	vtool_lock();
	vtool_change(&d, domain);
	/* a directory alone: the last one was killed on its way */
	if (vdomain_user(&d, name, &p) == 0) {
		if (faccessat(d.dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == -1)
			vtool_user(&d, name, &p);
	} else if (vdomain_set(&d, name, 0) != 1)
		strerr_diefusys(EXIT_TEMP, "remove ", argv[1]);
	if (vdomain_remove_user(&d, name) == -1)
		strerr_diefusys(EXIT_TEMP, "remove ", d.path.s, "/", name);
	vdomain_settled(&d);
	vtool_not_full(&d, name);
	return 0;
}
