/* resolve: DNS answers, from bin/dnsq: questions go in as lines, answers come
 * out as lines (dnsq(1)).  One runs for the questions of one connection.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

struct resolve {
	pid_t pid;
	int fd;
	uint64_t until;		/* milliseconds */
	stralloc line;		/* what has been read */
	size_t used;		/* of it */
};
#define RESOLVE_ZERO { 0, -1, 0, STRALLOC_ZERO, 0 }

/* Words of an answer, NUL-terminated, valid until the next call. */
struct answer {
	char const *tag, *type;
	char const *result;	/* "answer", "nodata", "nxdomain", ... */
	int secure;		/* DNSSEC vouches for it */
	char const *detail;
	char *values;		/* blanks between them; "" none */
};

extern int resolve_start(struct resolve *n);	/* 1, -1 */
extern void resolve_end(struct resolve *n);

/* Is it a host name: letters, digits, dots, hyphens, underscores?  Only such
 * may be asked for, and believed.
 */
extern int resolve_valid(char const *s, size_t n);

/* 1, -1. */
extern int resolve_ask(struct resolve *n, char const *tag, char const *type,
    char const *name);

/* The next answer, whichever question it belongs to.  1; -1: none comes. */
extern int resolve_answer(struct resolve *n, struct answer *a);

/* Cuts the next value off a->values.  0: none is left. */
extern char *resolve_value(struct answer *a);

#endif
