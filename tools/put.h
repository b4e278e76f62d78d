/* put: printf to the end of a stralloc. */
#ifndef PUT_H
#define PUT_H

#include <skalibs/stralloc.h>

enum { PUT_MOST = 2048 };	/* bytes of one call; more are cut off */

/* 1, -1 out of memory. */
extern int put(stralloc *out, char const *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
