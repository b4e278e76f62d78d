/* command: socket/send/send, where root and the group of queue ask and order
 * (INTERNALS 4.5).  An order that queued must carry out is answered when
 * queued has answered.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <poll.h>

#include "send/state.h"

enum {
	COMMAND_CLIENTS = 8,
	COMMAND_FDS = COMMAND_CLIENTS + 1
};

/* Makes the socket.  1, -1. */
extern int command_open(void);

/* What to wait for, and what to do when it has come. */
extern void command_fill(struct pollfd p[COMMAND_FDS]);
extern void command_react(struct send *s, struct pollfd const p[COMMAND_FDS]);

/* The answer to who waits for it: 0, or an errno. */
extern void command_answer(struct send *s, uint64_t ticket, uint64_t id,
    int err);

#endif
