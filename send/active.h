/* active: a message from the moment its file is read for delivery until all
 * its deliveries have ended and what became of them is put down.
 */
#ifndef ACTIVE_H
#define ACTIVE_H

#include "send/state.h"

/* Reads the message and groups its recipients into jobs.  1 with *out; 0
 * there is nothing to deliver now: it was dealt with.
 */
extern int active_open(struct send *s, uint32_t message, struct active **out);

/* The same with nothing grouped yet: what is to become of its recipients is the
 * caller's affair.
 */
extern int active_read(struct send *s, uint32_t message, struct active **out);

/* Asks queued about a message that is not active any more, or about to be
 * so no more; it answers s->ticket.  A request is never dropped.
 */
extern void active_ask(struct send *s, char kind, uint32_t message,
    char const *rest, size_t n);

/* Goes on after a change: has failures bounced, has done recipients marked,
 * and where nothing runs or waits any more ends it.
 */
extern void active_settle(struct send *s, struct active *a);

/* The same for all: time has passed, or something else that concerns many. */
extern void active_settle_all(struct send *s);

/* It stands in line wherever it has a job, and is not active meanwhile.  None
 * has started.
 */
extern void active_park(struct send *s, struct active *a);

/* No jobs of it start from now on. */
extern void active_cancel(struct send *s, struct active *a);

/* Forgets it; what is to become of the message is the caller's affair. */
extern void active_free(struct send *s, struct active *a);

/* Has what is done marked, of all active messages. */
extern void active_mark_all(struct send *s);

#endif
