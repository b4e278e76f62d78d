/* vpasswd: change the password of a user of a virtual domain.
 *
 * Runs as: root.  Reads: users/cdb.  Writes: the domain's vpasswd and
 * vpasswd.cdb.  Trusts: its caller.  Trusted by: the administrator.
 */
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/vtool.h"

#define USAGE "vpasswd [-e hash] [-r[length]] user@domain [password]"

int
main(int argc, char *const *argv)
{
	stralloc password = STRALLOC_ZERO, hash = STRALLOC_ZERO;
	struct vdomain d = VDOMAIN_ZERO;
	struct vpasswd p = VPASSWD_ZERO;
	unsigned int random = 0;
	char const *given = 0;
	char *name, *domain;
	int c, r;

	vtool_begin("vpasswd");
	while ((c = getopt(argc, argv, "e:r::")) != -1) {
		if (c == 'e')
			given = optarg;
		else if (c == 'r')
			random = vtool_random(optarg);
		else
			strerr_dieusage(EXIT_USAGE, USAGE);
	}
	argc -= optind;
	argv += optind;
	if (argc < 1 || argc > 2)
		strerr_dieusage(EXIT_USAGE, USAGE);
	name = vtool_address(argv[0], &domain);
	vtool_lock();
	vtool_change(&d, domain);
	vtool_user(&d, name, &p);
	if (!given) {
		vtool_password(argv[1], random, &password);
		vtool_hash(&password, &hash);
		given = hash.s;
	}
	p.hash = given;
	p.clear = "";		/* the old one, if there was one */
	r = vdomain_set(&d, name, &p);
	if (r == 0)
		strerr_dief(EXIT_PERM, "no colon may be in a hash");
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "change the password of ", argv[0]);
	return 0;
}
