/* limits: what a virtual domain may have: vpopmail's .qmailadmin-limits in its
 * directory, or else control/vlimits.default.  Lines "key: value"; a colon,
 * blank or tab ends the key.
 */
#ifndef LIMITS_VDOMAIN_H
#define LIMITS_VDOMAIN_H

#include <skalibs/stralloc.h>

#define LIMITS_FILE ".qmailadmin-limits"
#define LIMITS_DEFAULT "control/vlimits.default"

struct limits {			/* -1: any number */
	long long maxpopaccounts, maxaliases, maxforwards;
	long long quota, maxmsgcount;	/* of all mailboxes: MB, messages */
	long long default_quota, default_maxmsgcount; /* bytes; 0: none */
	unsigned long flags;	/* of every user, vpopmail's mask */
};
#define LIMITS_NONE { -1, -1, -1, 0, 0, 0, 0, 0 }

/* Of the domain whose directory is open as dir; home is the current
 * directory.  1, also where neither file exists; -1 with errno (EPROTO: a
 * value is not a number).
 */
extern int limits_read(int dir, struct limits *out);

/* Puts "key: value" into the text of such a file, in place of what it says
 * about the key.  1, -1 out of memory.
 */
extern int limits_set(stralloc *text, char const *key, char const *value);

/* The mask of a flag's key, disable_pop for instance; 0: no such key. */
extern unsigned long limits_flag(char const *key);

/* The quota of the domain, or of a user who is given none, as vpopmail writes
 * quotas; "" or "NOQUOTA" if there is none.  n: room for 64 bytes.
 */
extern void limits_domain_quota(struct limits const *l, char *out, size_t n);
extern void limits_user_quota(struct limits const *l, char *out, size_t n);

#endif
