/* spawn: start a program with posix_spawn (no copy of our page tables), with
 * just the descriptors that it needs.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <sys/types.h>

struct spawn_fd {
	int from;	/* ours */
	int to;		/* the child's */
};

/* argv[0] is the program, looked up in $PATH unless it holds a slash.  The
 * child has our descriptors 0, 1 and 2 except as fds says; all our other
 * descriptors must be close-on-exec.  Signals that we handle, ignore or block
 * are at their defaults in the child.  Returns the process id, or -1 with
 * errno: also when the program cannot be executed.
 */
extern pid_t spawn(char const *const *argv, char const *const *env,
    struct spawn_fd const *fds, unsigned int n);

#endif
