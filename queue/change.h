/* change: what send and root ask queued to do to a message: see "From send
 * and root alone" in INTERNALS.  The current directory is the queue.
 */
#ifndef CHANGE_H
#define CHANGE_H

#include <stddef.h>

/* A record that starts with D, R, B or H.  0 done, or an errno: EINVAL the
 * record is malformed or names no recipient, EBADMSG the file is damaged.
 */
extern int change(char const *s, size_t n);

#endif
