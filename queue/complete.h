/* complete: addresses that a user wrote in short: "joe", "joe@host",
 * "joe@host+" (control/defaulthost, defaultdomain, plusdomain).
 */
#ifndef COMPLETE_H
#define COMPLETE_H

#include <stddef.h>

#include <skalibs/stralloc.h>

struct complete {
	stralloc defaulthost, defaultdomain, plusdomain, idhost;
};
#define COMPLETE_ZERO { STRALLOC_ZERO, STRALLOC_ZERO, STRALLOC_ZERO, \
	STRALLOC_ZERO }

/* From the environment ($QMAILDEFAULTHOST and so on), the control files, and
 * where there is none, control/me.  1; 0: there is none in it; -1 with errno.
 * If not 1, *file names the file.
 */
extern int complete_load(struct complete *c, char const **file);

/* What to put behind an address (into *out, replaced), and how many bytes of
 * its end to take away before.  1, or -1 out of memory.
 */
extern int complete_address(struct complete const *c, char const *s, size_t n,
    int has_domain, stralloc *out, size_t *cut);

#endif
