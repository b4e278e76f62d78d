/* stspolicy: the text of an MTA-STS policy, and its DNS record (RFC 8461 3.1,
 * 3.2).  Both come from strangers.
 */
#ifndef REMOTE_STSPOLICY_H
#define REMOTE_STSPOLICY_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

enum { STS_ID = 32, STS_PATTERNS = 64 };

struct stspolicy {
	int enforce;		/* mode enforce; else testing, or none */
	uint32_t max_age;	/* seconds */
	stralloc mx;		/* names and *.names, each with NUL */
};
#define STSPOLICY_ZERO { 0, 0, STRALLOC_ZERO }

/* 1; 0 it is none; -1 out of memory. */
extern int stspolicy_parse(struct stspolicy *p, char const *s, size_t n);

/* Does it name this host? */
extern int stspolicy_names(struct stspolicy const *p, char const *host);

/* The id of a TXT record as dnsq(1) shows it.  1; 0 it is no such record. */
extern int stspolicy_id(char const *txt, char id[STS_ID + 1]);

#endif
