/* vsetuserquota: set the quota of a user, or of every user of a virtual domain.
 *
 * Runs as: root.  Reads: users/cdb.  Writes: the domain's vpasswd and
 * vpasswd.cdb, users/mailbox/DOMAIN.cdb, users/full.  Trusts: its caller.
 * Trusted by: the administrator.
 */
#include <string.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/usermod.h"
#include "users/vtool.h"

int
main(int argc, char *const *argv)
{
	struct usermod m = USERMOD_ZERO;

	vtool_begin("vsetuserquota");
	if (argc != 3 || *argv[1] == '-')
		strerr_dieusage(EXIT_USAGE,
		    "vsetuserquota user@domain | domain quota");
	m.quota = vtool_quota(argv[2]);
	vtool_lock();
	usermod(argv[1], &m);
	return 0;
}
