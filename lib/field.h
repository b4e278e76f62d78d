/* field: the fields of a message's header (RFC 5322), and whose message it
 * says that it is.
 */
#ifndef FIELD_H
#define FIELD_H

#include <stddef.h>

#include <skalibs/stralloc.h>

struct field {
	char const *s;		/* all its lines */
	size_t n;
	size_t name;		/* length of its name */
};

/* The next field of s[0..n), a header without the empty line behind it; start
 * with *pos = 0.  1; 0 at the end; -1 this line is no field.
 */
extern int field_next(char const *s, size_t n, size_t *pos, struct field *f);

/* Is that its name, in either case of letters? */
extern int field_is(struct field const *f, char const *name);

/* The one domain, in lower case, that the one From field names.
 *  1  *domain is it, NUL-terminated
 *  0  no such thing: *why says what there is instead
 * -1  out of memory
 */
extern int field_domain(char const *s, size_t n, stralloc *domain,
    char const **why);

#endif
