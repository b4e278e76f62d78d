/* recipients: of an active message: from its envelope, by routes, into jobs: a
 * job for each local recipient, and for each destination domain.
 */
#ifndef RECIPIENTS_H
#define RECIPIENTS_H

#include "send/state.h"

/* Who queued the message, for the log; in the envelope. */
struct origin {
	char const *uid, *qp;
};

/* Takes a->envelope apart: sender, recipients, hold mark.  a->due says which
 * channels' recipients are to be tried.
 */
extern void recipients_read(struct send *s, struct active *a,
    struct origin *o);

/* Makes jobs of those at a channel that are to be tried; what is frozen stays
 * for later.  Nothing of it runs or waits there.  1; 0 there are none.
 */
extern int recipients_group(struct send *s, struct active *a, int channel);

/* Is the sender a VERP one, which differs for each recipient? */
extern int recipients_verp(char const *sender);

#endif
