/* quota: how much a Maildir may hold: Maildir++, file maildirsize.
 *
 * Its first line is the quota, each other line "SIZE COUNT" that came (or, if
 * negative, went); the sum is what is there.  It is counted anew where it is
 * missing, malformed or long, names another quota, or says that there is no
 * room though it is not fresh: whoever removes messages need not tell.
 * Deliveries side by side may each find room for one message: what is there
 * may exceed the quota by as many messages as are delivered at that moment,
 * less one.
 */
#ifndef QUOTA_H
#define QUOTA_H

#include <stdint.h>
#include <time.h>

struct quota {
	uint64_t bytes, count;	/* as a limit, 0: any number */
};

struct quota_sum {
	int64_t bytes, count;
	unsigned int lines;	/* that were added up */
	time_t written;
};

struct quota_place {
	char const *dir;	/* of maildirsize and tmp/ */
	/* adds what there is to *s; 0: it is a Maildir.  1, -1 */
	int (*count)(struct quota_sum *s, void *arg);
	void *arg;
};

/* vpopmail's spellings: "", NOQUOTA, 10MB, 1000K, 1000000S, 1000000S,1000C.
 * 1; 0 no limit, or nothing that we can read.
 */
extern int quota_parse(char const *s, struct quota *out);

/* Is there room for one more message of that size?  1 or 0 with *used, what
 * is there now; -1.
 */
extern int quota_room(struct quota_place const *p, struct quota const *q,
    uint64_t size, struct quota *used);

/* Adds what a Maildir holds, whatever its quota, to *out.  1, also if there is
 * no such Maildir; -1.
 */
extern int quota_sum(int at, char const *maildir, struct quota_sum *out);

/* Is so much of the quota, in percent, used, or more? */
extern int quota_tight(struct quota const *q, struct quota const *used,
    unsigned int percent);

/* Notes that one has come.  1; 0 there is no maildirsize; -1. */
extern int quota_add(char const *dir, uint64_t size);

#endif
