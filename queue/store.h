/* store: what all parts of one worker of queued know.  The current directory
 * is the queue.
 */
#ifndef STORE_H
#define STORE_H

#include <stdint.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

enum {
	WORKERS_MAX = 250,	/* an id has three digits for the worker */
	CLIENTS_MAX = 128	/* of one worker */
};

/* Between the workers and the master: no lock, each worker writes its own. */
struct shared {
	uint64_t last[WORKERS_MAX];	/* microseconds of its newest id */
	/* uid + 1 of each connection that counts against its user; 0: none */
	uint32_t uid[WORKERS_MAX][CLIENTS_MAX];
};

struct settings {
	unsigned int workers;
	uint64_t reserve;	/* bytes that stay free on the disk */
	unsigned int strictsync;
	uid_t smtpd, send;	/* (uid_t)-1: no such user here */
	stralloc archive;	/* control/archive: archive.h */
};

struct store {
	struct settings set;
	struct shared *shared;
	unsigned int number;	/* of this worker */
	int trigger;		/* -1: there is none */
	uint64_t checked;	/* second of the last look at the free space */
	int full;		/* its result: errno, or 0 */
};

/* A new id, greater than all that this worker ever gave. */
extern uint64_t store_id(struct store *st, uint64_t *microseconds);

/* May another message come in?  0; ENOSPC; or errno of the look itself. */
extern int store_full(struct store *st);

/* rename that never replaces.  1, -1 with errno. */
extern int store_move(char const *from, char const *to);

/* Removes files from tmp/ that belong to this worker (all with -1). */
extern void store_sweep(int number);

#endif
