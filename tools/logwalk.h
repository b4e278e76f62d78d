/* logwalk: every line of a log, or of all logs of this installation. */
#ifndef LOGWALK_H
#define LOGWALK_H

#include <stddef.h>
#include <stdint.h>

#include "tools/logfiles.h"

struct logwalk {
	/* us: 0 if the line has no time.  1 go on, 0 enough, -1 with errno */
	int (*line)(void *ctx, char const *log, uint64_t us, char const *s,
	    size_t n);
	void *ctx;
	uint64_t since;		/* files that ended earlier are passed over */
};

/* The log at path, from *place on if place is not null; *place becomes where
 * it has ended.  name: for line().  1; 0 no such log; -1.
 */
extern int logwalk_one(struct logwalk const *w, char const *path,
    char const *name, struct logplace *place);

/* What to read: log/NAME of each service (path is "log"), or one log. */
struct logwalk_log {
	char path[LOGFILES_NAME * 2];
	char const *name;	/* last part of path */
};

/* The logs below dir, by name; if dir is a log itself, that one.  *out is for
 * the caller to free.  1 with *n of them; 0 there is none; -1.
 */
extern int logwalk_list(char const *dir, struct logwalk_log **out, size_t *n);

/* All of them.  1, 0 none, -1 */
extern int logwalk_all(struct logwalk const *w, char const *dir);

/* For a program that only reads logs: gives up root for a user without rights
 * and the group of the logs (own: the logs are those of this installation),
 * and everything but reading below dir.  1, -1.
 */
extern int logwalk_confine(char const *dir, int own);

#endif
