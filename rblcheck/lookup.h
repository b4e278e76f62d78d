/* lookup: ask all lists about one address or name, in one process of dnsq(1),
 * under one deadline.  Meanwhile the caller may have other things to wait for.
 */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <stdint.h>

#include "rblcheck/answers.h"
#include "rblcheck/dnsrun.h"

struct lookup {
	struct answers answers;
	struct dnsrun dns;	/* its fd is to be polled */
	uint64_t start, deadline;	/* clock_ms */
};

/* Starts to ask about what: lists_address's text, or a domain name that does
 * not make the questions longer than 253 characters.  Trouble with that is an
 * answer too: dns.fd is -1 then, and every list has failed.  1; -1 out of
 * memory.
 */
extern int lookup_start(struct lookup *l, struct lists const *lists,
    char const *what, unsigned int seconds);

/* dns.fd is readable. */
extern void lookup_read(struct lookup *l);

/* Is there a verdict (or no more time)?  1 with *out; 0 not yet. */
extern int lookup_verdict(struct lookup *l, struct verdict *out);

/* Nothing more is wanted of it. */
extern void lookup_end(struct lookup *l);

#endif
