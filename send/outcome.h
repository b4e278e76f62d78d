/* outcome: what a report makes of a recipient (INTERNALS 4.3), and the reports
 * that a message gathers: of failures, which its bounce is made of, and of
 * delays, for a notice.
 */
#ifndef OUTCOME_H
#define OUTCOME_H

#include "send/state.h"

enum { OUTCOME_BYTES = 50000 };	/* of reports, before something is done */

/* Notes and logs the end of one delivery; text is the report, a letter first.
 */
extern void outcome_note(struct send *s, struct slot const *which,
    char const *text);

/* That recipient has failed for good, with that report. */
extern void outcome_fail(struct active *a, uint32_t i, char const *text);

#endif
