/* message: header lines of a message, as our programs add or look for them. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stddef.h>

#include <skalibs/stralloc.h>

/* Appends s with every byte that has no place in a Received line turned to
 * '?': all but letters, digits and ". : _ - [ ] @ % / + = "  1, -1.
 */
extern int message_safe(stralloc *out, char const *s, size_t n);

#endif
