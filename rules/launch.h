/* launch: starts the program of a connection, without waiting until it has
 * been executed.
 *
 * posix_spawn stops its caller until the exec is done: 120 us and more, in
 * which no other client is accepted, and the second processor idles.  fork
 * copies our page tables.  So the child runs for those few instructions in
 * our memory, on a stack of its own, and the kernel tells by a word in that
 * memory (set_tid_address(2)) when it has left; INTERNALS 9.1.  Accept rate
 * with 20 clients, as a ratio to tcpserver: posix_spawn 0.9, fork 1.4, this
 * 2.1.
 *
 * What the child reads until then stands in its slot and stays as it is.
 */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <sys/types.h>

#include "rules/connenv.h"

enum { LAUNCH_STACK = 16384 };

struct launch {
	struct connenv env;	/* to be built by the caller */
	/* the rest is launch's own */
	struct launch_program const *program;
	int fd;
	pid_t pid;
	pid_t leaving;		/* 0: the child has left our memory */
	int error;		/* of its exec */
	char stack[LAUNCH_STACK] __attribute__((aligned(16)));
};

/* Two programs; the first word of each is looked up in $PATH unless it holds
 * a slash.  refusal: what the client is told if the program cannot be
 * executed, or 0.  Signals that are ignored now, and SIGPIPE, are at their
 * defaults in the program, and none is blocked.  Descriptors but 0 to 2 must
 * be close-on-exec.
 */
extern void launch_init(char const *const *argv, char const *const *other,
    char const *refusal);

/* A free slot; waits for one if need be. */
extern struct launch *launch_slot(void);

/* Runs program 0 or 1 with fd as its descriptors 0 and 1, and with l->env.  The
 * process id, or -1 with errno.
 */
extern pid_t launch_start(struct launch *l, unsigned int which, int fd);

/* Must be told each process that has ended.  The errno of its exec if that
 * failed, or 0.
 */
extern int launch_ended(pid_t pid);

#endif
