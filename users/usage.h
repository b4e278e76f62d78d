/* usage: how much each user has sent by the hour and by the day, and how much
 * he may.
 *
 * Counted in slots of a quarter of an hour: "an hour" is the slot that it is
 * and the three before, "a day" that one and 95.  USAGE_USERS of those who
 * have sent something within a day are remembered; one more takes the place
 * of the one who has been silent for longest.
 */
#ifndef USAGE_H
#define USAGE_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

enum {
	USAGE_USERS = 2048,
	USAGE_NAME = 200,	/* bytes of a name; what is longer is refused */
	USAGE_SLOT = 900,	/* seconds */
	USAGE_HOUR = 4,
	USAGE_DAY = 96
};

struct usage {
	uint32_t messages_hour, messages_day, recipients_hour, recipients_day;
};

enum { USAGE_UNLIMITED = UINT32_MAX };

/* What control/userlimits says: lines of a user, @domain or *, and the four
 * numbers of struct usage in that order, "-" for no limit.  The line of the
 * user counts, else that of his domain, else "*", else the default.
 * 1; 0: a line is malformed, and is as if it were absent; -1 with errno.
 */
extern int usage_limits(char const *user, size_t n, struct usage *out);

/* A name that can be remembered?  1, 0. */
extern int usage_name_ok(char const *user, size_t n);

/* Counts one more message, to so many, at that time (seconds since 1970),
 * unless that is more than *most: then 0, and why is which limit, in words,
 * *recipients whether it is one of those.  1.
 */
extern int usage_add(char const *user, size_t n, uint32_t count,
    struct usage const *most, uint64_t now, char const **why,
    int *recipients);

/* Has he reached a limit for the first time within a day?  1, 0. */
extern int usage_first_time(char const *user, size_t n, uint64_t now);

/* Forgets what he has sent.  1, or 0: nothing is known. */
extern int usage_clear(char const *user, size_t n);

/* The next user who has sent something within a day: from *pos = 0.  1 with
 * name (NUL-terminated) and counts; 0 at the end.
 */
extern int usage_each(unsigned int *pos, uint64_t now, char const **name,
    struct usage *out);

/* All of it, as text, and from such a text.  save: 1, -1 out of memory;
 * load: 1; 0: malformed somewhere, all before has been taken.
 */
extern int usage_save(stralloc *out, uint64_t now);
extern int usage_load(char const *s, size_t n, uint64_t now);

#endif
