/* archives: contents that may be archives, kept for archivenames until the
 * walk is over: of those that the walker reads it is asked what is in the
 * archives inside.
 */
#ifndef ARCHIVES_H
#define ARCHIVES_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/leaves.h"
#include "scanq/walk.h"

#define ARCHIVES_PROGRAM "bin/archivenames"

enum {
	ARCHIVES_MOST = 200,	/* of one message */
	ARCHIVES_SECONDS = 20	/* for all of them */
};

struct archives {
	int on;			/* the program is there, and names matter */
	size_t n;
	struct {
		int fd;		/* open for reading */
		uint32_t part;
	} archive[ARCHIVES_MOST];
	size_t left_out;	/* more than there is room for */
	/* a bit for each part in which zip's entries have been seen */
	unsigned char zips[WALK_PARTS_MOST / 8];
};

/* Takes note of zips behind other bytes. */
extern void archives_event(struct archives *a, struct walk_event const *e);

/* Keeps the leaf if its kind may be an archive.  1; 0: it is none, or there
 * are too many; -1.
 */
extern int archives_take(struct archives *a, struct leaf const *l, int magic);

/* Hands to take what the program says of each: names (WALK_FILE) and
 * anomalies, and an anomaly for each that it did not get to the end of.  All
 * are gone afterwards.
 */
extern void archives_list(struct archives *a, walk_take *take, void *ctx);

#endif
