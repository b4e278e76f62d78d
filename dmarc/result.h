/* result: what was found out about a message, as header field and log line. */
#ifndef RESULT_H
#define RESULT_H

#include <skalibs/stralloc.h>

#include "dmarc/facts.h"

/* Words of RFC 8601; a letter that is none is no result: 0. */
extern char const *result_word(char c);

/* All that can be said if nothing could be checked. */
extern void result_nothing(struct findings *out);

/* Reads dmarcd's answer.  Nothing of it is taken as it is but in the form that
 * it must have.  1, 0 it is no answer.
 */
extern int result_read(char const *s, size_t n, struct findings *out);

/* "pass" if one of the signatures is good, else the best that there is. */
extern char result_dkim(struct findings const *f);

/* The word of RFC 7489 for it. */
extern char const *result_policy(char c);

/* Appends Authentication-Results: us is our authserv-id; trouble: why nothing
 * was checked, or 0.  1, -1.
 */
extern int result_field(stralloc *out, char const *us, struct facts const *q,
    struct findings const *f, char const *trouble);

#endif
