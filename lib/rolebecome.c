/* Apart from role_find, and without skalibs: also for programs with the
 * distribution's libraries.
 */
#include "lib/role.h"

#include <errno.h>
#include <grp.h>
#include <unistd.h>

int
role_become(struct role const *to)
{
	uid_t r, e, s;

	if (geteuid() == 0) {
		if (setgroups(1, &to->gid) == -1 ||
		    setresgid(to->gid, to->gid, to->gid) == -1 ||
		    setresuid(to->uid, to->uid, to->uid) == -1)
			return -1;
	}
	if (getresuid(&r, &e, &s) == -1)
		return -1;
	if (r != to->uid || e != to->uid || s != to->uid ||
	    (to->uid != 0 && setuid(0) == 0)) {
		errno = EPERM;
		return -1;
	}
	return 1;
}
