/* walkwire: the events of walk.h as a stream of records, so that the walker
 * can run in a process without rights and speak through a pipe.
 *
 * A record is a header of WALKWIRE_HEADER bytes, numbers in little-endian
 * order, and the bytes of s and of t:
 *
 *	type 1, code 1, alt 2, depth 4, part 4, parent 4, length of s 4,
 *	length of t 4, size 8
 */
#ifndef WALKWIRE_H
#define WALKWIRE_H

#include <stddef.h>

#include "scanq/walk.h"

enum {
	WALKWIRE_HEADER = 32,
	WALKWIRE_MOST = WALKWIRE_HEADER + 2 * WALK_VALUE /* of one record */
};

/* Writes the header of e's record: s and t follow it. */
extern void walkwire_put(unsigned char out[WALKWIRE_HEADER],
    struct walk_event const *e);

/* Takes the first record of s[0..n) apart; e points into s.  Its length; 0:
 * not complete yet; -1: not a record.
 */
extern long walkwire_get(char const *s, size_t n, struct walk_event *e);

#endif
