/* fields: the header of a message (RFC 5322), and what of it is signed. */
#ifndef FIELDS_H
#define FIELDS_H

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
extern int fields_next(char const *s, size_t n, size_t *pos, struct field *f);

/* The one domain, in lower case, that the one From field names.
 *  1  *domain is it, NUL-terminated
 *  0  no such thing: *why says what there is instead
 * -1  out of memory
 */
extern int fields_domain(char const *s, size_t n, stralloc *domain,
    char const **why);

/* For the tag h= of RFC 6376 3.5 and what it stands for: *names, with colons
 * between, and *text, these fields in canonical form.  1, -1.
 */
extern int fields_signed(char const *s, size_t n, stralloc *names,
    stralloc *text);

#endif
