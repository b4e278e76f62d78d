/* scan: how send learns of messages: by reading queue/mess/NN, directory by
 * directory in slices, and by the ids that queued writes to queue/trigger.
 */
#ifndef SCAN_H
#define SCAN_H

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>

struct scan {
	DIR *dir;		/* the one being read */
	unsigned int nn;	/* its number; 64: nothing to read */
	int first;		/* since we started */
	int again;		/* the trigger overflowed: once more */
	int queue;		/* the queue directory */
	int trigger;		/* the fifo */
	size_t held;
	char partial[24];	/* an id of which the rest has not come */
};

/* What to do with an id.  1 to go on; 0 to stop for now, the id taken. */
typedef int scan_found(void *ctx, uint64_t id);

/* Opens the trigger below the directory queue; its directories will be read
 * from the first one on.  1, -1.
 */
extern int scan_open(struct scan *s, int queue);

/* Reads up to max entries.  1 there is more; 0 all are read; -1 trouble with
 * the directory mess/NN, errno says which: it is left out.
 */
extern int scan_slice(struct scan *s, unsigned int max, scan_found *found,
    void *ctx);

/* Reads the trigger once.  Ids that were lost because it was full, or because
 * who should have written them died (then queued writes a 0), are found by
 * reading the directories again.
 */
extern void scan_trigger(struct scan *s, scan_found *found, void *ctx);

/* Reads the directories once more. */
extern void scan_again(struct scan *s);

extern int scan_busy(struct scan const *s);

#endif
