/* ask: what another of our programs says. */
#ifndef ASK_H
#define ASK_H

#include <skalibs/stralloc.h>

enum {
	ASK_MOST = 65536,	/* bytes of output that are kept */
	ASK_KILLED = 128	/* exit code of a program that died or was
				 * stopped after the time */
};

/* Runs argv[0], found in bin/ or $PATH, with nothing to read, for so many
 * seconds at most.  *out gets what it wrote to descriptors 1 and 2, and a NUL
 * that is not counted.  Its exit code; -1 it could not be run, errno.
 */
extern int ask(char const *const *argv, unsigned int seconds, stralloc *out);

/* The next line of such text, from *pos = 0, its LF replaced by NUL.  0: no
 * more. */
extern char *ask_line(stralloc *text, size_t *pos);

#endif
