/* fields: what of the header of a message is signed. */
#ifndef FIELDS_H
#define FIELDS_H

#include <stddef.h>

#include <skalibs/stralloc.h>

/* For the tag h= of RFC 6376 3.5 and what it stands for, of the header
 * s[0..n): *names, with colons between, and *text, these fields in canonical
 * form.  1, -1.
 */
extern int fields_signed(char const *s, size_t n, stralloc *names,
    stralloc *text);

#endif
