/* layer: the line machine of walk: headers, delimiters, bodies of one message
 * as it stands.  What an encoded message or multipart decodes to is a layer of
 * its own.
 *
 * States of a multipart: preamble, in a part, epilogue.  The layer itself is
 * in a header or in a body; in a body every line goes to all open readings.
 */
#ifndef LAYER_H
#define LAYER_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/boundary.h"
#include "scanq/entity.h"
#include "scanq/fields.h"
#include "scanq/readings.h"
#include "scanq/walkout.h"

enum {
	LAYER_LEAVES = 20,	/* readings open in all layers together */
	LAYER_HOLD = 1024	/* of a line that may be a delimiter */
};

enum level_state { LEVEL_MESSAGE, LEVEL_PREAMBLE, LEVEL_PART, LEVEL_EPILOGUE };

struct level {
	enum level_state state;
	uint32_t part;
	unsigned int depth;	/* of its parts */
	int digest;
	int guess;		/* its boundary is unknown */
	int any;		/* a delimiter has been */
};

/* What layers share. */
struct layers {
	struct walkout out;
	struct layer *layer[WALK_LAYERS];	/* those not in use: first */
	unsigned int free_layers;
	struct leaf *leaf[LAYER_LEAVES];
	unsigned int free_leaves;
};

struct layer {
	struct layers *all;
	unsigned int n;		/* levels */
	struct level level[WALK_DEPTH + 1];
	struct readings readings;
	struct entity entity;	/* whose header or body this is */
	int header;		/* its header */
	int early;		/* a body may have begun already */
	int bol;		/* at the beginning of a line */
	int swallow;		/* the rest of this line does not count */
	size_t held;		/* of a line of a body, in hold */
	char hold[LAYER_HOLD];
	size_t have;		/* of a line of a header, in line */
	int cut;		/* it did not fit */
	size_t again;		/* of a delimiter that ended it, in hold */
	struct boundaries boundaries;
	char line[WALK_VALUE];
	struct fields fields;
};

/* A message, the next part. */
extern void layer_message(struct layer *, struct layers *, uint32_t parent,
    unsigned int depth);

/* A multipart's body: e is its header. */
extern void layer_multipart(struct layer *, struct layers *,
    struct entity const *e);

extern void layer_feed(struct layer *, char const *s, size_t n);
extern void layer_end(struct layer *);

#endif
