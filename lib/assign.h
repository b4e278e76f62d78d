/* assign: which system user an address of this host belongs to: users/cdb,
 * which usersmake compiles from users/assign (qmail-users(5)), and where that
 * has no record, the system's own users (bin/getpw).
 */
#ifndef ASSIGN_H
#define ASSIGN_H

#include <stddef.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

struct assign {
	char const *user;	/* all strings NUL-terminated, in sa */
	uid_t uid;
	gid_t gid;
	char const *home;
	char const *dash;
	char const *ext;
	stralloc sa;
};
#define ASSIGN_ZERO { .sa = STRALLOC_ZERO }

/* Looks a local part up, without regard to case, in users/cdb, exact record
 * first, then wildcards from the longest.  The cdb is opened afresh.
 *  1  *out filled in (free out->sa when done; it may be used again)
 *  0  no record, or no users/cdb
 * -1  trouble with errno (EPROTO: malformed record)
 */
extern int assign_find(char const *local, size_t n, struct assign *out);

/* The virtual domain of that name, or that it is another name of: out->user is
 * the real one, out->home its directory.  As assign_find; 0: no such domain.
 */
extern int assign_domain(char const *domain, size_t n, struct assign *out);

/* Takes a record apart: user NUL uid NUL gid NUL home NUL dash NUL ext, with
 * rest appended to ext.  1; 0 malformed; -1 out of memory.
 */
extern int assign_record(char const *s, size_t n, char const *rest,
    size_t restlen, struct assign *out);

#endif
