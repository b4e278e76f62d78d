/* child: run a program on the message, for the helpers of .qmail files. */
#ifndef LOCAL_CHILD_H
#define LOCAL_CHILD_H

/* Runs argv with our descriptors and waits.  Its exit code; exits 111 itself,
 * with a message, if the program cannot be run, crashes, or says 111.
 */
extern int child_run(char const *const *argv);

/* Back to the message's first byte; exits 111 if that cannot be. */
extern void child_rewind(void);

#endif
