/* inspect: looks for what is wrong in a queue that is in use, and puts it
 * right where that is safe: a file in the wrong directory, a wrong owner, a
 * damaged file, a message that send does not know.
 */
#ifndef INSPECT_H
#define INSPECT_H

#include <stdint.h>

struct inspection {
	uint64_t messages, faults, repaired;
	int repair;
	int send;		/* can send be asked? */
};

/* Goes through all of it, a line to standard output for each fault.  The home
 * directory is the current one.  1; -1 with errno and where.
 */
extern int inspect(struct inspection *i, char const **where);

#endif
