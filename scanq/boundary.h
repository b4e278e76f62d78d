/* boundary: the delimiters that a line may be, in all open multiparts
 * (RFC 2046 5.1.1).
 */
#ifndef BOUNDARY_H
#define BOUNDARY_H

#include <stddef.h>

enum {
	BOUNDARY_LEGAL = 70,	/* bytes, RFC 2046 5.1.1 */
	BOUNDARY_LENGTH = 250,	/* of a longer one this counts */
	BOUNDARY_READINGS = 8,	/* of one multipart */
	BOUNDARIES = 160
};

struct boundary {
	unsigned int level;
	size_t n;
	char s[BOUNDARY_LENGTH];
};

struct boundaries {
	unsigned int n;
	unsigned char first[256];	/* how many start with this byte */
	unsigned int empty;		/* how many are empty */
	struct boundary b[BOUNDARIES];
};

struct boundary_match {
	unsigned int level;
	int close;		/* a close delimiter */
	int junk;		/* there is more on the line */
};

extern void boundary_start(struct boundaries *);

/* For the multipart at that level; levels only grow until popped.  1; 0: no
 * room.
 */
extern int boundary_push(struct boundaries *, unsigned int level,
    char const *s, size_t n);

/* Forgets those of this level and of higher ones. */
extern void boundary_pop(struct boundaries *, unsigned int level);

/* Is it that of an open multipart? */
extern int boundary_known(struct boundaries const *, char const *s, size_t n);

/* May one begin with two hyphens and this byte?  1, 0. */
extern int boundary_may(struct boundaries const *, char c);

/* Which delimiter a line without its end is: that of the highest level first;
 * levels for which over() says yes last.  1; 0: none.
 */
extern int boundary_match(struct boundaries const *, char const *s, size_t n,
    int (*over)(void *ctx, unsigned int level), void *ctx,
    struct boundary_match *out);

/* The same for a single boundary. */
extern int boundary_is(char const *b, size_t bn, char const *s, size_t n,
    struct boundary_match *out);

#endif
