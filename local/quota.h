/* quota: how much a Maildir may hold: Maildir++, file maildirsize.
 *
 * Its first line is the quota, each other line "SIZE COUNT" that came (or, if
 * negative, went); the sum is what is there.  It is counted anew where it is
 * missing, malformed or long, names another quota, or says that there is no
 * room though it is not fresh: whoever removes messages need not tell.
 * Deliveries side by side may each find room for one message: what is there
 * may exceed the quota by that.
 */
#ifndef LOCAL_QUOTA_H
#define LOCAL_QUOTA_H

#include <stdint.h>

struct quota {
	uint64_t bytes, count;	/* 0: any number */
};

/* vpopmail's spellings: "", NOQUOTA, 10MB, 1000K, 1000000S, 1000000S,1000C.
 * 1; 0 no limit, or nothing that we can read.
 */
extern int quota_parse(char const *s, struct quota *out);

/* Has the Maildir room for one more message of that size?  1; 0; -1. */
extern int quota_room(char const *maildir, struct quota const *q,
    uint64_t size);

/* Notes that one has come.  1; 0 there is no maildirsize; -1. */
extern int quota_add(char const *maildir, uint64_t size);

#endif
