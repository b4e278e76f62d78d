/* wish: what an administrator wants of one message or of some of its
 * recipients (INTERNALS 4.5).
 */
#ifndef WISH_H
#define WISH_H

#include "send/state.h"

/* An administrator wants that done (WISH_*) to the whole message, or to the
 * recipients at these n offsets of its envelope: when what runs has ended, and
 * nothing new starts before.  s->ticket is answered then.  0, or the errno to
 * answer at once: EBUSY somebody else's wish is under way.
 */
extern int wish_order(struct send *s, uint32_t message, int wish,
    uint32_t const *offsets, size_t n);

/* The same for a try of these recipients: it begins when what runs at their
 * channel has ended, and changes nothing in when the others are tried.  EPERM:
 * it is held.
 */
extern int wish_try(struct send *s, uint32_t message,
    uint32_t const *offsets, size_t n);

/* All of it is tried now; what is active, once more when this try is over.  0,
 * or an errno.
 */
extern int wish_now(struct send *s, uint32_t message);

/* Its hold ends.  -1: queued is asked, s->ticket is answered then; 0, or an
 * errno.
 */
extern int wish_release(struct send *s, uint32_t message);

/* Fulfils what is wanted of recipients, for none of them runs now. */
extern void wish_grant(struct active *a);

/* Starts once more at a channel where nothing of it runs or waits, with those
 * whom an administrator wants tried, or with all.  1; 0 there are none.
 */
extern int wish_start(struct send *s, struct active *a, int channel,
    int all);

#endif
