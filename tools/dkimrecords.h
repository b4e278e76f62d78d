/* dkimrecords: what DNS has to say about the keys that sign mail, as dkimkey
 * keeps it: dkim/SELECTOR._domainkey.DOMAIN.txt.  Home is the current
 * directory.
 */
#ifndef DKIMRECORDS_H
#define DKIMRECORDS_H

#include <dirent.h>

#include <skalibs/stralloc.h>

struct dkimrecord {
	stralloc name;		/* NUL-terminated, as are all three */
	stralloc value;
	int in_use;		/* control/dkim names it */
};
#define DKIMRECORD_ZERO { STRALLOC_ZERO, STRALLOC_ZERO, 0 }

/* Begins; 0 with errno: there are none. */
extern DIR *dkimrecords_open(void);

/* The next one of that domain.  1; 0 no more, the DIR is closed; -1 with
 * errno, the same.
 */
extern int dkimrecords_next(DIR *d, char const *domain,
    struct dkimrecord *out);

#endif
