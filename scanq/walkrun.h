/* walkrun: the walker over a message, in a child that may read, write and
 * exit, and nothing else; what it sees comes back through a pipe.
 */
#ifndef WALKRUN_H
#define WALKRUN_H

#include <stddef.h>
#include <sys/types.h>

#include "scanq/walk.h"

struct walkrun {
	pid_t pid;
	int fd;
};

enum {
	WALKRUN_SECONDS = 60	/* for any message */
};

/* Starts it on s[0..n), which stays mapped; flags: walk_new's.  1, -1. */
extern int walkrun_start(struct walkrun *w, char const *s, size_t n,
    int flags);

/* Starts a program that speaks like the walker, with descriptor in as its 0:
 * archivenames.  1, -1.
 */
extern int walkrun_program(struct walkrun *w, char const *const *argv, int in);

/* Hands every event to take, until the walk is complete.  1; 0: the child
 * died, said what is no event, or was too slow (*why says); -1 with errno.
 * In any case it is gone afterwards.
 */
extern int walkrun_events(struct walkrun *w, walk_take *take, void *ctx,
    char const **why);

extern void walkrun_stop(struct walkrun *w);

#endif
