/* clearopensmtp: forget the addresses that were opened for SMTP by a POP3
 * login longer ago than control/roaming says (vpopmail's name).
 *
 * Runs as: root at its start, then auth; or auth.  Reads: control/roaming,
 * roaming/.  Writes: roaming/.  Trusts: authd, for what is in there.  Trusted
 * by: rulesrun in front of smtpd.
 */
#include <stdio.h>
#include <sys/stat.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/role.h"
#include "users/roaming.h"

int
main(int argc, char const *const *argv)
{
	struct role auth;
	unsigned int left;
	int found;

	(void)argv;
	PROG = "clearopensmtp";
	if (argc != 1)
		strerr_dieusage(EXIT_USAGE, "clearopensmtp");
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", home_path());
	found = role_find("auth", &auth);
	if (found == -1)
		strerr_diefusys(EXIT_TEMP, "look up role auth");
	if (found == 0)
		strerr_dief(EXIT_PERM, "no user for role auth");
	if (role_become(&auth) == -1)
		strerr_diefusys(EXIT_TEMP, "become the user of role auth");
	umask(077);
	if (roaming_clear(roaming_minutes(), &left) == -1)
		strerr_diefusys(EXIT_TEMP, "write roaming/");
	printf("%u addresses may send mail after a POP3 login.\n", left);
	return 0;
}
