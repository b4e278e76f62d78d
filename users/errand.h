/* errand: programs that authd starts and does not wait for, with something to
 * read on their standard input.
 */
#ifndef ERRAND_H
#define ERRAND_H

#include <stddef.h>
#include <stdint.h>

enum {
	ERRAND_MOST = 4,	/* at a time */
	ERRAND_BYTES = 16384,	/* what a pipe takes at once */
	ERRAND_PATIENCE = 60	/* seconds until it is killed */
};

/* 1; 0: too many are under way, or too many bytes; -1 with errno. */
extern int errand_start(char const *const *argv, char const *s, size_t n,
    uint64_t now);

/* Takes away those that have ended, and logs those that failed.  How many are
 * under way.
 */
extern unsigned int errand_reap(uint64_t now);

#endif
