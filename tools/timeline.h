/* timeline: log lines that belong together, in the order of their times, as
 * text and as JSON.  Nothing that is shown holds a byte that is not printable
 * ASCII.
 */
#ifndef TIMELINE_H
#define TIMELINE_H

#include <stddef.h>
#include <stdint.h>

#include "tools/logevent.h"
#include "tools/tally.h"

enum {
	TIMELINE_LINES = 20000,
	TIMELINE_GROUPS = 2000,
	TIMELINE_IDS = 4000,
	TIMELINE_NONE = -1,
	TIMELINE_LATER = -2
};

struct timeline_line {
	uint64_t us;
	uint64_t id;		/* of the message; 0 none, or all */
	size_t order;
	int group;
	char verdict;
	char const *log;
	char *text;
};

/* A session, or a message without one. */
struct timeline_group {
	char session[64];
	uint64_t id;
	uint64_t first;		/* time */
};

struct timeline {
	struct timeline_line *line;
	size_t n, room;
	struct timeline_group *group;
	size_t groups;
	struct tally joined;	/* message: count[0]: group + 1 */
	struct tally sessions;	/* the same */
	int truncated;
};

/* The group of that session; TIMELINE_NONE: too many, or out of memory. */
extern int timeline_group(struct timeline *t, struct logtext const *session);

/* That message belongs to this group. */
extern void timeline_join(struct timeline *t, int group, uint64_t id);

/* group: TIMELINE_LATER: that of the message, once all has been added.
 * 1; 0 too many; -1 out of memory
 */
extern int timeline_add(struct timeline *t, int group, char const *log,
    uint64_t us, struct logevent const *e, uint64_t id,
    struct logtext const *all);

/* 1, -1 out of memory */
extern int timeline_sort(struct timeline *t);

/* To standard output.  1, -1 with errno. */
extern int timeline_text(struct timeline const *t);
extern int timeline_json(struct timeline const *t, char const *asked);

#endif
