/* inner: who takes the files that stand inside a leaf.  For each: begin, any
 * number of names and data, end.
 */
#ifndef INNER_H
#define INNER_H

#include <stddef.h>

#include "scanq/walk.h"

struct inner {
	void *ctx;
	void (*begin)(void *ctx, enum walk_encoding);
	void (*name)(void *ctx, enum walk_source, char const *s, size_t n);
	void (*data)(void *ctx, char const *s, size_t n);
	void (*end)(void *ctx);
	void (*anomaly)(void *ctx, enum walk_anomaly, char const *s, size_t n);
};

#endif
