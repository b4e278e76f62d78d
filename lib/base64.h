/* base64: RFC 4648 4, strictly: whole groups of four, padding at the end
 * alone, unused bits zero.  One text for each string of bytes, and no other.
 */
#ifndef BASE64_H
#define BASE64_H

#include <stddef.h>

#include <skalibs/stralloc.h>

/* Appends the text.  1, -1 out of memory. */
extern int base64_encode(stralloc *out, char const *s, size_t n);

/* 1: *len bytes at out, which has room for so many; 0: malformed, or longer
 * than that.
 */
extern int base64_decode(char const *s, size_t n, char *out, size_t room,
    size_t *len);

#endif
