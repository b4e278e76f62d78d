/* outcome: what is done with a message that has been scanned. */
#ifndef OUTCOME_H
#define OUTCOME_H

#include "scanq/report.h"

/* Does it, and returns the exit code; does not return if the next program
 * takes the message.
 */
extern int outcome(struct report *r, struct intake *i);

#endif
