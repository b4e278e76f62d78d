/* given: what a program in the place of qmail-queue is given: the message on
 * descriptor 0, then its envelope on descriptor 1.
 */
#ifndef GIVEN_H
#define GIVEN_H

#include <stddef.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "lib/spool.h"

/* From now on a day for all of it, as qmail-queue: then QUEUE_TIMEOUT. */
extern void given_deadline(void);

/* read(2), again after a signal. */
extern ssize_t given_read(int fd, char *s, size_t max);

/* The message, to the end of *s.  take, if not 0, is shown each piece of it:
 * 1, -1 out of memory.  0, or a code of lib/enqueue.h.
 */
extern int given_message(struct spool *s, int (*take)(char const *, size_t));

/* *env: "F" reverse-path NUL, then "T" recipient NUL for each, as
 * enqueue_close wants it.  An envelope that ends early is a message that its
 * sender gave up.  0, or a code of lib/enqueue.h.
 */
extern int given_envelope(stralloc *env);

#endif
