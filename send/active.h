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

/* An administrator wants that done (WISH_*) to the whole message, or to the
 * recipients at these n offsets of its envelope: when what runs has ended, and
 * nothing new starts before.  s->ticket is answered then.  0, or the errno to
 * answer at once: EBUSY somebody else's wish is under way.
 */
extern int active_wish(struct send *s, uint32_t message, int wish,
    uint32_t const *offsets, size_t n);

/* The same for a try of these recipients: it begins when what runs has ended,
 * and changes nothing in when the others are tried.  EPERM: it is held.
 */
extern int active_try(struct send *s, uint32_t message,
    uint32_t const *offsets, size_t n);

/* Notes and logs the end of one delivery; text is the report, a letter first.
 */
extern void active_result(struct send *s, struct slot const *which,
    char const *text);

/* Goes on after a change: has failures bounced, has done recipients marked,
 * and where nothing runs or waits any more ends it.
 */
extern void active_settle(struct send *s, struct active *a);

/* It is tried again as soon as this try is over.  1; 0 it is not active. */
extern int active_again(struct send *s, uint32_t message);

/* No jobs of it start from now on. */
extern void active_cancel(struct send *s, struct active *a);

/* Forgets it; what is to become of the message is the caller's affair. */
extern void active_free(struct send *s, struct active *a);

/* Has what is done marked, of all active messages. */
extern void active_mark_all(struct send *s);

#endif
