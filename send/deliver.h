/* deliver: starts jobs and takes reports (lib/job.h). */
#ifndef DELIVER_H
#define DELIVER_H

#include "send/state.h"

/* Opens a message and starts what can be started, or parks it.  turn: if it is
 * a destination's turn, that one; else null.
 */
extern void deliver_message(struct send *s, uint32_t message,
    struct dest const *turn);

/* Has it a free slot? */
extern int deliver_free(struct channel const *ch);
/* Is there room for more active messages? */
extern int deliver_room(struct send const *s);

/* Gives slots to those who wait for them, in turns.  1: there may be more to
 * do at once; 0.
 */
extern int deliver_turns(struct send *s, int channel);

/* Jobs of an active message that have not been tried. */
extern void deliver_more(struct send *s, struct active *a);

/* Reads what the spawner has to say. */
extern void deliver_reports(struct send *s, int channel);

/* Takes the socket of another spawner, in place of one that was lost. */
extern void deliver_spawner(struct send *s, int channel);

/* Tells the status line. */
extern void deliver_status(struct send *s);

#endif
