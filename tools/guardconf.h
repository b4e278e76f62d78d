/* guardconf: spamguard's settings: those of EnderUNIX's spamguard.conf, and
 * ours.
 *
 *	key = "value"		quotes may be missing, also ";" behind it
 *	# comment		also behind a value
 */
#ifndef GUARDCONF_H
#define GUARDCONF_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

enum { GUARDCONF_LOGS = 16, GUARDCONF_RULES = 8 };

enum {				/* what is counted */
	GUARD_USER = 1,
	GUARD_CLIENT = 2,
	GUARD_SENDER = 4
};

struct guardconf {
	int qmail;		/* logs of qmail, not of postern */
	int count;		/* GUARD_..., or 0: as the rest suggests */
	char const *log[GUARDCONF_LOGS];
	size_t logs;
	char const *rules[GUARDCONF_RULES];	/* names below rules/ */
	size_t nrules;
	char const *badmail, *sysadmin, *hostname, *state;
	unsigned int warning, blocking, paranoid;
	unsigned int window, blocktime, alerts;
	stralloc ignore, high;	/* patterns, NUL behind each */
};

/* Reads file; 0: a missing file means defaults.  Mistakes are all told on
 * standard error.  1; 0 mistakes; -1 unable to read, errno and *what say why.
 */
extern int guardconf_read(struct guardconf *c, char const *file, int must,
    char const **what);

/* Does a pattern of the list match? */
extern int guardconf_matches(stralloc const *list, char const *name);

#endif
