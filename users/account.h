/* account: who a login name is.
 *
 * "user@domain", "user%domain", or "user" alone in control/defaultvdomain.
 * The domain is found as local delivery finds it, in users/cdb under
 * "domain-" (so that vpopmail's domains and alias domains are found too); the
 * user in its vpasswd.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <stddef.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "lib/assign.h"
#include "lib/vpasswd.h"

struct account {
	stralloc login;		/* user@domain, lower case, of an alias domain
				 * the real one; as given if it cannot be
				 * anybody's */
	struct assign domain;	/* its user is the real domain */
	struct vpasswd pw;
};
#define ACCOUNT_ZERO { STRALLOC_ZERO, ASSIGN_ZERO, VPASSWD_ZERO }

/*  1  *out filled in
 *  0  nobody: out->login alone is filled in, and out->pw.hash is "" or, to
 *     spend the same time on, the hash of somebody else in that domain
 * -1  trouble with errno
 */
extern int account_find(char const *login, size_t n, struct account *out);

extern void account_free(struct account *a);

#endif
