/* pool: programs that deliver, one kind for each user, kept for further jobs.
 * A new one costs a fork and an exec; a job for one that is idle costs one
 * packet.  One has one job at a time: several of the same user run side by
 * side.
 */
#ifndef POOL_H
#define POOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "lib/role.h"

enum {
	POOL_IDLE = 32,		/* kept without a job, at most */
	POOL_SECONDS = 10,	/* and no longer */
	POOL_JOBS = 1000	/* then it is replaced: what it leaks, ends */
};

struct worker {
	pid_t pid;
	int sock;		/* -1: this entry is free */
	int busy;
	uint64_t number;	/* of the job */
	unsigned int jobs;
	uint64_t idle;		/* since, in seconds */
	struct role as;
	stralloc key;
};

struct pool {
	char const *const *argv;
	int wake;		/* an epoll of the caller's: told of each
				 * socket, as data.fd */
	struct worker *w;
	size_t n, busy;
};
#define POOL_ZERO { 0, -1, 0, 0, 0 }

/* Gives a job to a worker of that user and key, a new one if none is idle.
 * 1; -1 with errno: it runs nowhere.
 */
extern int pool_give(struct pool *p, struct role const *as, stralloc const *key,
    stralloc const *packet, int fd, uint64_t number);

/* Whose socket it is; 0 nobody's. */
extern struct worker *pool_worker(struct pool *p, int sock);

/* The answer of one that is busy: 1, *text a letter and a text, valid until
 * the next call; 0 it is gone, and the job with it.  It is idle, or freed,
 * afterwards.
 */
extern int pool_answer(struct pool *p, struct worker *w, uint64_t now,
    char const **text);

/* Ends those that are idle for too long, or are too many; all idle ones if
 * all is 1.
 */
extern void pool_tidy(struct pool *p, uint64_t now, int all);

#endif
