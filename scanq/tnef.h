/* tnef: the files in a winmail.dat: Microsoft's [MS-OXTNEF], its properties
 * [MS-OXPROPS].
 */
#ifndef TNEF_H
#define TNEF_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/inner.h"
#include "scanq/window.h"

enum tnef_state {
	TNEF_START, TNEF_ATTRIBUTE, TNEF_TITLE, TNEF_DATA, TNEF_COUNT,
	TNEF_PROPERTY, TNEF_VALUES, TNEF_VALUE, TNEF_SKIP, TNEF_OVER
};

struct tnef {
	struct inner const *inner;
	enum tnef_state state;
	uint64_t skip;
	uint64_t left;		/* of the attribute */
	int inside;		/* an attribute */
	int open;		/* a file */
	uint32_t properties;	/* to come */
	uint32_t values;	/* to come, of this property */
	unsigned int kind;	/* of it */
	unsigned int id;
	struct window window;
};

extern void tnef_start(struct tnef *, struct inner const *);
extern void tnef_feed(struct tnef *, char const *s, size_t n);
extern void tnef_end(struct tnef *);

#endif
