/* role: the system users that the programs run as.
 *
 * conf-users in the home directory names a user for each role ("smtpd",
 * "queue", ...), one "role user" a line, # for comments; the user's uid and
 * primary group are looked up when a program starts.  Callers have made the
 * home directory current.
 */
#ifndef ROLE_H
#define ROLE_H

#include <sys/types.h>

struct role {
	uid_t uid;
	gid_t gid;
};

/*  1  *out stored
 *  0  no such role in conf-users, or no such user on this machine
 * -1  trouble, errno says which
 */
extern int role_find(char const *role, struct role *out);

/* Gives up every group but gid, then the group, then the user, for good, and
 * checks that there is no way back.  1, or -1 with errno; after -1 the caller
 * must exit.  A caller that is not root succeeds only if it is that user
 * already.
 */
extern int role_become(struct role const *to);

#endif
