/* assignfile: users/assign, line by line: qmail-users(5). */
#ifndef USERS_ASSIGNFILE_H
#define USERS_ASSIGNFILE_H

#include <stddef.h>

#include <skalibs/stralloc.h>

struct assignfile_line {
	int wildcard;		/* "+", else "=" */
	char const *local;	/* in lower case; in the file's buffer */
	size_t n;
	char const *data;	/* user NUL uid NUL ... ext, no NUL behind */
	size_t len;
};

/* The next line; takes the buffer apart in place.  *number counts lines.
 * 1; 0 the line that ends the file; -1 with *why: what is wrong in that line.
 */
extern int assignfile_next(stralloc *file, size_t *pos, unsigned int *number,
    struct assignfile_line *out, char const **why);

#endif
