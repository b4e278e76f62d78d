/* bouncer: send's end of bounce(8): programs that queue bounces, so that send
 * never waits for a disk.  Up to BOUNCERS at once, started when needed.
 */
#ifndef BOUNCER_H
#define BOUNCER_H

#include "send/state.h"

extern void bouncer_init(struct send *s);

/* The failures of that message shall be bounced. */
extern void bouncer_ask(struct send *s, struct active *a);

/* Its delays shall be told to its sender. */
extern void bouncer_warn(struct send *s, struct active *a);

/* Gives work to idle programs; ends those idle for long. */
extern void bouncer_run(struct send *s);

/* Reads the answer of one. */
extern void bouncer_answer(struct send *s, struct bouncer *b);

#endif
