/* worker: one process that holds connections.  It has no file and no program
 * within reach; the system calls that it needs are all that it has.
 */
#ifndef WORKER_H
#define WORKER_H

#include "tls/conn.h"
#include "tls/keys.h"

struct worker {
	int listener;
	struct keys *keys;
	struct tickets *tickets;
	struct conn_room *room;
};

/* Until a SIGHUP came and the last connection has ended, or its parent is
 * gone.
 */
extern void worker_run(struct worker *w, pid_t parent)
    __attribute__((noreturn));

#endif
