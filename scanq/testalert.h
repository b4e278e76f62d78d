/* testalert: tells the administrator by mail that the self-test has failed: at
 * once, then once a day for as long as it fails, and not more than once an
 * hour if that comes and goes.
 *
 * State: state/scantest, "TIME good" or "TIME bad": when mail was sent last,
 * and what the test has said since.
 */
#ifndef TESTALERT_H
#define TESTALERT_H

#include <stdint.h>

#include <skalibs/stralloc.h>

/* The test has ended well: the next failure is a new one.  1, -1. */
extern int testalert_good(void);

/* It has failed: said is what it printed, required whether no mail passes
 * without an answer.
 * 1: mail was sent; 0: it was not yet time; -1: trouble, which was told.
 */
extern int testalert_bad(stralloc const *said, int required, uint64_t now);

#endif
