/* magic: what the first bytes of a file say that it is. */
#ifndef MAGIC_H
#define MAGIC_H

#include <stddef.h>

#include "scanq/walk.h"

enum {
	MAGIC_HEAD = 512	/* bytes to look at */
};

extern enum walk_magic magic_find(char const *s, size_t n);

/* May a file of that kind have this name, and be declared as this type (in
 * small letters)?  Both may be empty.  1; 0: it pretends to be another kind.
 */
extern int magic_fits(enum walk_magic, char const *name, size_t n,
    char const *type, size_t tn);

#endif
