/* entity: what the header of one part says of its body, in all readings: its
 * types, encodings, boundaries and names (RFC 2045 5 and 6, RFC 2183).
 */
#ifndef ENTITY_H
#define ENTITY_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/boundary.h"
#include "scanq/contents.h"
#include "scanq/param.h"
#include "scanq/walkout.h"

enum { ENTITY_ENCODING = 64 };

struct entity_boundary {
	size_t n;
	char s[BOUNDARY_LENGTH];
};

struct entity {
	struct walkout *out;
	uint32_t part;
	uint32_t parent;
	unsigned int depth;
	int digest;		/* its type is message/rfc822 by default */
	unsigned int fields;
	/* how often, and a hash of the first one's value */
	struct entity_count {
		unsigned int n;
		uint64_t hash;
	} types, encodings, dispositions;
	/* what it may be */
	int multipart;
	int is_digest;		/* multipart/digest */
	int message;
	int leaf;
	int text;
	unsigned int encoded;	/* a bit for each enum walk_encoding */
	size_t en;
	char encoding[ENTITY_ENCODING];
	int named;		/* label.name is set */
	unsigned int boundaries;
	int sure;		/* how many of them are without doubt */
	int unsure;		/* is one other than that? */
	struct params params;
	struct contents_label label;
	struct entity_boundary boundary[BOUNDARY_READINGS];
};

/* out, part, parent, depth and digest are set by the caller, before. */
extern void entity_start(struct entity *);

/* A field, unfolded. */
extern void entity_field(struct entity *, char const *name, size_t n,
    char const *value, size_t vn);

/* The header is complete: reports the part. */
extern void entity_end(struct entity *);

/* Would this line be a delimiter of its own body? */
extern int entity_delimiter(struct entity const *, char const *s, size_t n);

#endif
