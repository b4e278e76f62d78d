/* dest: destinations: a domain, or a local address.  One is remembered while
 * something runs or waits there, and if we have learnt how much it takes, for
 * a minute more.
 */
#ifndef DEST_H
#define DEST_H

#include "send/state.h"

enum {
	DEST_START = 5,		/* jobs at once at a host that we do not know:
				 * each that it answers allows one more */
	DEST_IDLE = 60000,	/* ms that what was learnt is remembered */
	DEST_IDLE_MOST = 2000,
	DEST_MOST = 20000	/* remembered, before send opens less */
};

extern int dest_init(struct send *s);		/* 1, -1 */

/* Finds it or makes it; case of the name is ignored.  0: out of memory. */
extern struct dest *dest_get(struct send *s, int channel, char const *name);

/* Could a job be started there now?  No destination gets the last slots of a
 * channel while it has many: it leaves a ninth of them to others.
 */
extern int dest_free(struct send const *s, struct dest const *d);

/* Has it all that its own pace takes now, whatever its channel has left? */
extern int dest_full(struct send const *s, struct dest const *d);

/* So many recipients were sent there: the next ones when its rate allows. */
extern void dest_sent(struct send *s, struct dest *d, uint32_t recipients);
/* A job there has ended: what its host made of it decides on the window. */
extern void dest_learn(struct dest *d, struct job const *j);

/* Those that waited for their rate get their turn; what is idle for long is
 * forgotten.
 */
extern void dest_tick(struct send *s);
/* The control files have changed. */
extern void dest_reload(struct send *s);

/* A job waits there from now on. */
extern void dest_wait(struct send *s, struct dest *d, struct job *j);
/* So does a message that is not active, for its turn there. */
extern void dest_park(struct send *s, struct dest *d, uint32_t message);
extern struct job *dest_next_job(struct dest *d);
extern uint32_t dest_next_parked(struct send *s, struct dest *d);
/* Takes the waiting jobs of one message away. */
extern void dest_cancel(struct dest *d, struct active const *a);

/* Puts it into the ring or takes it out, as it has something to start; and
 * forgets it if it has nothing at all.  After each change.
 */
extern void dest_settle(struct send *s, struct dest *d);

#endif
