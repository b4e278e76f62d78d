/* helper: a few pwhash processes, started when needed, so that authd itself
 * never waits for a hash.
 */
#ifndef HELPER_H
#define HELPER_H

#include <stdint.h>
#include <sys/types.h>

enum {
	HELPER_MOST = 16,
	HELPER_PATIENCE = 20,	/* seconds for one hash */
	HELPER_IDLE = 60	/* seconds until an idle one is ended */
};

struct helper {
	pid_t pid;		/* 0: none */
	int fd;			/* socket to its descriptors 0 and 1 */
	void *job;		/* the caller's; 0: idle */
	uint64_t since;		/* seconds: start of the job, or of idleness */
};

struct helpers {
	struct helper h[HELPER_MOST];
	unsigned int limit;	/* at most HELPER_MOST */
};

/* Twice as many as there are processors, at most. */
extern void helpers_init(struct helpers *p);

/* Is password that of hash, or, where neither secret nor challenge is "", an
 * answer to challenge by who knows secret?
 */
struct comparison {
	char const *hash, *password, *secret, *challenge;
};

/* Gives a comparison to an idle helper, or to a new one.  1; 0: all are busy;
 * -1 with errno.
 */
extern int helpers_compare(struct helpers *p, struct comparison const *c,
    void *job, uint64_t now);

/* The answer of a helper whose fd is readable: 'y' or 'n'; 0: it is gone, and
 * has been cleaned up.  Afterwards it has no job.
 */
extern char helper_answer(struct helper *h, uint64_t now);

/* Kills it, and takes its remains away. */
extern void helper_end(struct helper *h);

/* Ends those that have been idle or busy for too long; the job of the first
 * that was busy, or 0: call again until then.
 */
extern void *helpers_expire(struct helpers *p, uint64_t now);

#endif
