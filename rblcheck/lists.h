/* lists: DNS lists of addresses and names (RFC 5782), as options and
 * control/dnsbl define them; dnsbl(5) is the specification.
 *
 *	[allow|name] base[=codes] [weight=n] [bounce|defer] [closed|open]
 *	    [message=text to the end]
 *	base[=codes]:text to the end
 *
 * codes: patterns of the addresses that mean "listed", separated by commas;
 * each part of one is a number, a range n-m, or *.
 */
#ifndef LISTS_H
#define LISTS_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "lib/ipaddr.h"

enum {
	LISTS_MAX = 32,		/* with two questions each, half of what dnsq
				 * has in flight at a time */
	LISTS_CODES = 16
};

enum lists_kind { LISTS_BLOCK, LISTS_ALLOW, LISTS_NAME };

struct codes {
	unsigned char low[4], high[4];
};

struct list {
	enum lists_kind kind;
	char const *base;
	struct codes code[LISTS_CODES];
	unsigned int codes;	/* 0: every code means "listed" */
	int weight;
	int bounce;		/* refuse for good */
	int closed;		/* no answer: as if listed, for now */
	char const *message;	/* with %IP%; 0: what the list says */
	char const *line;	/* as defined, without allow or name */
};

struct lists {
	struct list at[LISTS_MAX];
	unsigned int n;
	int bounce, closed;	/* what a definition without the words means */
};

/* Adds what s defines, a list of that kind.  1; 0 malformed, *why says how;
 * -1 out of memory.
 */
extern int lists_add(struct lists *l, enum lists_kind kind, char const *s,
    char const **why);

/* Adds the lists of a file, one a line, each with or without "allow" or
 * "name" in front.  1; 0 malformed: *why, and *bad is the line; -1 with errno.
 * No file: 1.
 */
extern int lists_read(struct lists *l, char const *file, char const **why,
    char const **bad);

/* What an A record of a list means. */
enum {
	LISTS_NOT,	/* a code that the definition does not name */
	LISTS_LISTED,
	LISTS_ERROR	/* the list says that it will not answer us, or it is
			 * no list (any more) */
};
extern int lists_judge(struct list const *l, struct ipaddr const *code);

/* Appends what an address is asked as: d.c.b.a, or 32 nibbles; with a NUL.
 * 1, -1.
 */
extern int lists_address(struct ipaddr const *ip, stralloc *out);

/* Appends the name to ask for: what, a dot, and base; with a NUL.  1, -1. */
extern int lists_question(struct list const *l, char const *what,
    stralloc *out);

#endif
