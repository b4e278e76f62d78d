/* control: read settings from files, as qmail-control(5) describes them.
 *
 * A value is the first line that is neither empty nor starts with '#',
 * without trailing blanks.  A list is all such lines.  "file" is relative to
 * the current directory, which callers have made the home directory.
 *
 *  1  value stored
 *  0  no such file, or no value in it; *out untouched
 * -1  trouble, errno says which (EINVAL: not a number); *out untouched
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <skalibs/stralloc.h>

extern int control_line(char const *file, stralloc *out);
/* The same into s[0..max), without NUL; EMSGSIZE: it is longer. */
extern int control_text(char const *file, char *s, size_t max, size_t *len);
extern int control_uint(char const *file, unsigned int *out);

/* Each entry NUL-terminated, one after the other. */
extern int control_list(char const *file, stralloc *out);

/* control_line, and where that says 0, the value of control/me. */
extern int control_line_or_me(char const *file, stralloc *out);

/* Is s[0..n) an entry of that list?  Case of ASCII letters is ignored. */
extern int control_has(stralloc const *list, char const *s, size_t n);

/* Is the domain s[0..n) in the list, as itself or by an entry ".suffix" that
 * it ends in?  (qmail's rcpthosts; a suffix does not match its own name.)
 */
extern int control_has_domain(stralloc const *list, char const *s, size_t n);

#endif
