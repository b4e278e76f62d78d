/* memory: what a send that is gone had done, in the two times of its lock
 * file: until when it was alive, and since when messages may not have been
 * tried.  So a restart need not try all that waits at once.  Times that make
 * no sense, or none at all, mean: nothing is known.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdint.h>

struct memory {
	uint64_t alive;		/* seconds since 1970; 0: nothing is known */
	uint64_t tried;		/* all that is older was tried */
};

/* Opens or makes the lock file.  The descriptor, or -1. */
extern int memory_open(char const *path);

/* Of a lock file that we hold. */
extern void memory_load(int fd, uint64_t now, struct memory *out);
extern void memory_save(int fd, uint64_t now, uint64_t tried);

/* Was a message tried that arrived then? */
extern int memory_tried(struct memory const *m, uint64_t birth);

#endif
