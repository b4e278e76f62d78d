/* signalpipe: signals as bytes to poll for.
 *
 * For programs with the distribution's libraries; those with skalibs have its
 * selfpipe.
 */
#ifndef SIGNALPIPE_H
#define SIGNALPIPE_H

#include <stddef.h>

/* Catches these from now on.  The descriptor to poll, or -1 with errno.  A
 * child that calls it again has a pipe of its own.
 */
extern int signalpipe_open(int const *signals, size_t n);

/* The next one that came; 0: none. */
extern int signalpipe_next(void);

#endif
