/* walkout: the walker's events on their way out, counted and limited.  A name
 * or an anomaly that has just been reported for the same part is not repeated.
 */
#ifndef WALKOUT_H
#define WALKOUT_H

#include <stddef.h>
#include <stdint.h>

#include "scanq/walk.h"

enum {
	WALKOUT_RECENT = 64,	/* names remembered */
	WALKOUT_PARTS = 16,	/* parts whose anomalies are remembered */
	WALKOUT_DETAIL = 128	/* bytes of what an anomaly is about */
};

struct walkout_part {
	uint32_t part;
	uint64_t seen[2];	/* a bit for each anomaly */
};

struct walkout {
	walk_take *take;
	void *ctx;
	int flags;
	uint32_t parts;		/* how many so far */
	unsigned int names;
	uint64_t name_bytes;
	unsigned int anomalies;
	unsigned int next;	/* of recent */
	uint64_t recent[WALKOUT_RECENT];
	struct walkout_part about[WALKOUT_PARTS];
};

extern void walkout_start(struct walkout *);

extern void walkout_header(struct walkout *, uint32_t part, char const *name,
    size_t n, char const *value, size_t vn);

/* The number of a new part; and, when its header has been read, the part. */
extern uint32_t walkout_number(struct walkout *);
extern void walkout_part(struct walkout *, struct walk_event *);

extern void walkout_leaf(struct walkout *, uint32_t part, unsigned int alt,
    int encoding);
extern void walkout_data(struct walkout *, uint32_t part, unsigned int alt,
    char const *s, size_t n);
extern void walkout_end(struct walkout *, uint32_t part, unsigned int alt,
    int magic, uint64_t size);

/* e: part, code (source), s, t, size. */
extern void walkout_file(struct walkout *, struct walk_event *e);

/* May there be one more name, of n bytes?  Names cost time.  1; 0: no. */
extern int walkout_more_files(struct walkout *, uint32_t part, size_t n);

extern void walkout_anomaly(struct walkout *, uint32_t part, int code,
    char const *s, size_t n);
extern void walkout_done(struct walkout *, uint64_t size);

#endif
