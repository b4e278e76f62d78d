/* alertlimit: so many alerts an hour; what is beyond is told with the next
 * one.
 *
 * State, below scan/, shared by all scanq of this host: scan/alerts holds the
 * hour (since 1970), how many alerts have been sent in it, how many have not,
 * and a line for each of these (the first ALERTLIMIT_LINES); replaced at one
 * stroke under the lock scan/lock.
 */
#ifndef ALERTLIMIT_H
#define ALERTLIMIT_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

enum { ALERTLIMIT_LINES = 100 };

/* May an alert be sent now?  line[0..n): what it is about, in short.
 *  1  yes; *digest gets what was not told in the hours before, or stays ""
 *  0  no; the line is kept
 * -1  with errno: the state cannot be kept
 */
extern int alertlimit(unsigned int most, uint64_t now, char const *line,
    size_t n, stralloc *digest);

#endif
