/* readings: the open readings of bodies in one layer.  All of them get every
 * line.  What one decodes to may be a layer of its own.
 *
 * A line end belongs to the delimiter behind it (RFC 2046 5.1.1): it is held
 * back until something else follows.
 */
#ifndef READINGS_H
#define READINGS_H

#include <stddef.h>

#include "scanq/entity.h"
#include "scanq/leaf.h"
#include "scanq/walk.h"

struct layer;
struct layers;

/* An open reading, and how many levels were around it. */
struct reading {
	struct leaf *leaf;
	unsigned int levels;
	struct layer *layer;	/* of what it decodes to, or 0 */
};

struct readings {
	struct layers *all;
	unsigned int n;
	unsigned int alt;	/* of the part's next one */
	struct reading reading[WALK_READINGS];
	size_t end;		/* bytes of a line end that is held back */
	char end_of_line[2];
};

extern void readings_start(struct readings *, struct layers *all);

/* Opens one of the body of e, inside of so many levels; layer: what it decodes
 * to is a message, or a multipart.
 */
extern void readings_open(struct readings *, struct entity *e,
    enum walk_encoding, int layer, unsigned int levels);

/* Those that were opened inside of so many levels, or more. */
extern void readings_close(struct readings *, unsigned int levels);

/* A line, n bytes with CR if there is one; complete: LF follows. */
extern void readings_line(struct readings *, char const *s, size_t n,
    int complete);

/* Any number of lines, their ends among them; the last may not be whole. */
extern void readings_lines(struct readings *, char const *s, size_t n);

/* More of a line of which some has been passed. */
extern void readings_more(struct readings *, char const *s, size_t n);

/* 1: s[0] is the LF of a CR that is held back, and is now, too; 0. */
extern int readings_lf(struct readings *, char const *s);

/* The line end that is held back is none of a delimiter: passes it. */
extern void readings_release(struct readings *);

#endif
