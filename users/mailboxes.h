/* mailboxes: write users/mailbox/DOMAIN.cdb (lib/mailbox.h) from a vpasswd
 * file and the .qmail files beside it.
 */
#ifndef MAILBOXES_H
#define MAILBOXES_H

#include <skalibs/stralloc.h>

#include "users/limits.h"

struct mailboxes {
	char const *domain;
	char const *path;	/* of its directory */
	int dir;		/* the same, open */
	stralloc const *vpasswd;
	struct limits const *limits;
};

/* Home is the current directory.  1, -1 with errno. */
extern int mailboxes_write(struct mailboxes const *m);

#endif
