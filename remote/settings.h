/* settings: remote's control files. */
#ifndef REMOTE_SETTINGS_H
#define REMOTE_SETTINGS_H

#include <stdint.h>

#include <skalibs/stralloc.h>

#include "lib/ipaddr.h"

struct settings {
	stralloc helo;		/* with a NUL */
	stralloc smtproutes, authsenders; /* lists */
	stralloc outgoingip;	/* list: [domain:]address */
	stralloc moreipme, notipme; /* lists: address[/bits] */
	unsigned int connect, patience; /* seconds */
	unsigned int messages, seconds; /* what a connection is used for */
	unsigned int mtasts;	/* 1: fetch MTA-STS policies, and keep them */
	uint64_t read_at;	/* monotonic seconds; 0: never */
};
#define SETTINGS_ZERO { STRALLOC_ZERO, STRALLOC_ZERO, STRALLOC_ZERO, \
	STRALLOC_ZERO, STRALLOC_ZERO, STRALLOC_ZERO, 0, 0, 0, 0, 0, 0 }

/* Reads them, unless that was done less than a second ago.  1; 0 none of
 * control/helohost and control/me; -1 with errno; *file is the culprit.
 */
extern int settings_read(struct settings *s, uint64_t now, char const **file);

/* Is the address in the list, as itself or in one of its networks? */
extern int settings_has(stralloc const *list, struct ipaddr const *a);

/* The address to send from, for a sender, to a host of that family.  1; 0:
 * whichever the kernel takes.
 */
extern int settings_outgoing(struct settings const *s, char const *sender,
    int four, struct ipaddr *out);

#endif
