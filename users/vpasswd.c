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

/* Without the lock: nobody waits for somebody who types. */
static char const *
new_hash(char const *name, char const *domain, char const *password,
    unsigned int random)
{
	static stralloc clear = STRALLOC_ZERO, hash = STRALLOC_ZERO;
	struct vdomain d = VDOMAIN_ZERO;
	struct vpasswd p = VPASSWD_ZERO;

	vtool_open(&d, domain);
	vtool_user(&d, name, &p);
	vdomain_close(&d);
	vtool_password(password, random, &clear);
	vtool_hash(&clear, &hash);
	return hash.s;
}

int
main(int argc, char *const *argv)
{
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
	if (!given)
		given = new_hash(name, domain, argv[1], random);
	vtool_lock();
	vtool_change(&d, domain);
	vtool_user(&d, name, &p);
	p.hash = given;
	p.clear = "";		/* the old one, if there was one */
	r = vdomain_set(&d, name, &p);
	if (r == 0)
		strerr_dief(EXIT_PERM, "no colon may be in a hash");
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "change the password of ", argv[0]);
	return 0;
}
