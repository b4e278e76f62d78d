/* fields: the fields of one header, line by line: names as lenient readers
 * have them, values unfolded.  Each goes to entity_field when it is complete;
 * what is odd about it is an anomaly of the part (RFC 5322 2.2, 4.5).
 */
#ifndef FIELDS_H
#define FIELDS_H

#include <stddef.h>

#include "scanq/entity.h"
#include "scanq/walk.h"

enum { FIELDS_NAME = 128 };	/* of a name this counts */

/* What readers think of a line. */
enum fields_line {
	FIELDS_HEADER,		/* the header goes on, for all */
	FIELDS_BODY,		/* for some the body begins with it, */
	FIELDS_BEHIND		/* or behind it */
};

struct fields {
	struct entity *entity;	/* whose header it is */
	int message;		/* that of a message */
	int first;		/* nothing of it has been seen yet */
	int pending;		/* the field has not been reported */
	size_t kept;		/* of its value */
	size_t nn;		/* of its name; 0: no field yet */
	char name[FIELDS_NAME];
	char value[WALK_VALUE];
};

extern void fields_start(struct fields *, struct entity *, int message);

/* A line without its end, which is not empty. */
extern enum fields_line fields_line(struct fields *, char const *s, size_t n);

/* An empty line.  1: the header ends; 0: not for all readers, it is the first
 * line of the message.
 */
extern int fields_empty(struct fields *);

/* The last field is complete.  It stays, for lines that some readers take for
 * a part of it.
 */
extern void fields_report(struct fields *);

#endif
