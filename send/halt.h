/* halt: channels that stand still: without a spawner, or with a concurrency of
 * 0.  A message of which nothing else waits is put back from there if it has
 * recipients at another channel: these go by their schedule, and those at the
 * halted one are due when it goes on (TABLE_HALTED).
 */
#ifndef HALT_H
#define HALT_H

#include "send/state.h"

/* Notes which channels stand still and which go on, and does what this changes
 * for the messages.  Nowhere else is it noted, so that each message put back
 * for a channel sees it go on.
 */
extern void halt_look(struct send *s);

/* Is that active message to be put back?  1, 0. */
extern int halt_holds(struct send const *s, struct active const *a);

#endif
