/* names: users/names.cdb, which local names exist: INTERNALS 5.
 *
 * An owner is who gets the mail for certain local parts: a line of
 * users/assign, a user of the system, alias for the rest.  First all owners
 * are added; then each one's .qmail files say which of its names exist.
 */
#ifndef USERS_NAMES_H
#define USERS_NAMES_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/cdbfile.h"

enum names_kind {
	NAMES_EXACT,		/* this local part */
	NAMES_WILDCARD,		/* every one that starts so */
	NAMES_USER,		/* this, and with "-" and anything behind */
	NAMES_ALIAS		/* what is nobody else's */
};

struct names_owner {
	enum names_kind kind;
	char const *local;	/* lower case */
	size_t n;
	uid_t uid;
	gid_t gid;
	char const *home;
	char const *dash;
	char const *ext;
	int hidden;		/* gets mail, but is no mailbox */
};

struct names;

extern struct names *names_new(void);		/* null: out of memory */
/* Copies what o points to.  1, -1. */
extern int names_add(struct names *t, struct names_owner const *o);
/* Asks the home directories and adds all records.  1, -1 with errno. */
extern int names_write(struct names *t, struct cdbmaker *m);

#endif
