/* listing: the messages that are in the queue directory, for programs that
 * look without asking.  The current directory is the queue.
 */
#ifndef LISTING_H
#define LISTING_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/genalloc.h>

/* The ids of all messages, oldest first, into *ids (of uint64_t).  Files
 * whose names are no ids are warned of and left out.  1, or -1 with errno and
 * *dir, the directory that could not be read.
 */
extern int listing_read(genalloc *ids, char const **dir);

/* How many files are in a directory.  1, -1. */
extern int listing_count(char const *dir, uint64_t *n);

#endif
