/* pace: how much at once, and how often, a destination may be given:
 * control/destinations and control/frozen.
 */
#ifndef PACE_H
#define PACE_H

#include <stdint.h>

#include <skalibs/stralloc.h>

enum {
	PACE_LIMIT = 20,	/* jobs at one destination at once */
	PACE_MOST = 1000
};

struct pace {
	unsigned int limit;
	uint32_t interval;	/* ms for each recipient; 0: no rate */
	int frozen;
};

struct paces {
	stralloc rules;		/* each NUL-terminated */
	stralloc frozen;
};
#define PACES_ZERO { STRALLOC_ZERO, STRALLOC_ZERO }

/* Reads both files, for which the home directory is the current one.  1; -1
 * with errno and the file (EINVAL: a line is malformed); *p then stays.
 */
extern int pace_load(struct paces *p, char const **file);

/* For a destination: a domain, or a local address, of which the domain
 * decides; rates and limits are of remote ones only.
 */
extern void pace_find(struct paces const *p, char const *name, int remote,
    struct pace *out);

#endif
