/* state: what the parts of send share.
 *
 * A message is fresh, waiting, parked or held: 40 bytes in the table.  When
 * its turn comes its file is read and it is active: its recipients are
 * grouped into jobs, one for each local recipient, one for each destination
 * domain.  A job that its channel or its destination cannot take now waits
 * there.  Destinations with something waiting take turns in a ring.  Each
 * channel has its own next try, place in line, and jobs (a lane).
 */
#ifndef STATE_H
#define STATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "lib/msgfile.h"
#include "lib/route.h"
#include "send/marks.h"
#include "send/memory.h"
#include "send/pace.h"
#include "send/scan.h"
#include "send/schedule.h"
#include "send/steady.h"
#include "send/table.h"

enum { LOCAL, REMOTE, CHANNELS };

enum {
	TO_DO,		/* not tried in this pass */
	NOT_DUE,	/* not to be tried in this pass */
	RUNNING,
	LATER,		/* failed for now */
	FAILED,		/* for good; a bounce will say so */
	DONE,
	MARKED		/* done, and queued was asked to say so in the file */
};

struct recipient {
	uint32_t at;		/* its record in the envelope */
	uint32_t address;	/* as routed, in the active message's text */
	uint32_t next;		/* in the same job; TABLE_NONE */
	uint16_t prefix;	/* bytes of virtualdomains' doing */
	uint8_t channel;
	uint8_t state;
	uint8_t wish;		/* of an administrator */
};

/* What an administrator wants done, when nothing runs any more. */
enum {
	WISH_NONE,
	WISH_HOLD,
	WISH_DELETE,
	WISH_BOUNCE,	/* of a recipient too */
	WISH_DONE,
	WISH_TRY	/* of recipients alone */
};

struct active;

struct job {
	struct job *next;	/* at the same destination */
	struct job *more;	/* of the same message, at the same
				 * destination: waits until this one started */
	struct active *a;
	struct dest *dest;
	uint32_t first, last, count, left;
	size_t bytes;
	int state;
	int follows;		/* it is the more of another one */
	int ahead;		/* counted in its lane's */
	int reached, trouble;	/* reports: its host answered; it did not */
};
enum { JOB_NEW, JOB_WAITS, JOB_RUNS, JOB_ENDED };

struct dest {
	struct dest *next;	/* in the same bucket */
	struct dest *before, *after; /* in the ring; null: not in it */
	struct job *jobs, **jobs_end;
	struct table_list parked;
	int parked_next;	/* it is their turn, not the jobs' */
	unsigned int running;	/* jobs */
	unsigned int users;	/* jobs that have not ended */
	int channel;
	struct pace pace;
	unsigned int window;	/* jobs at once, now */
	uint64_t next_at;	/* ms: when its rate allows the next job */
	uint64_t idle;		/* ms: since when there is nothing to do; 0 */
	struct dest *older, *newer; /* of those that are idle */
	struct job *open;	/* takes more recipients of its message */
	char name[];
};

struct channel {
	char const *name;
	unsigned int limit, running;
	unsigned int skip;	/* of the retry schedule */
	int sock;		/* the spawner; -1: it is gone */
	int news;		/* where start sends the socket of another */
	int full;		/* the socket takes nothing now */
	struct dest *turn;	/* the ring: whose turn it is */
	size_t turns;		/* how many stand in it */
};

struct lane {			/* the jobs of an active message at a channel */
	struct job *jobs;
	uint32_t cursor, end;	/* those before cursor were started or wait */
	uint32_t running, waiting;
	uint32_t ahead;		/* of these, for a slot, not for the pace of
				 * their destination */
};

struct active {
	struct active *before, *after;
	uint32_t message;
	uint64_t id, birth;	/* birth in microseconds */
	int fd;
	stralloc envelope, text;
	char const *sender;
	struct recipient *rcpt;
	uint32_t rcpts;
	uint32_t running;	/* jobs */
	struct lane lane[CHANNELS];
	uint8_t due[CHANNELS];	/* it is being tried there */
	uint8_t again[CHANNELS]; /* and once more at once */
	uint8_t named[CHANNELS]; /* recipients there are WISH_TRY */
	int dying;		/* too old: what fails, fails for good */
	char const *damaged;
	uint32_t unmarked;	/* recipients that are DONE */
	stralloc failures;	/* recipient's index, address, report */
	uint32_t failed;	/* how many */
	uint32_t given;		/* how many of these a bouncer has */
	int warn;		/* the sender is to hear of a delay */
	stralloc delays;	/* then: as failures */
	uint32_t delayed;
	uint64_t until;		/* a bouncer has delays, not failures */
	int held;		/* its hold mark is set */
	int crowd;		/* counted in send's */
	int wish;
	int granted;		/* something has come of the wish */
	int unbounced;		/* but a bounce for it could not be queued */
	uint64_t ticket;	/* who waits to hear of it */
	int bouncing;
	struct active *bounce_next;
};

struct slot {			/* one delivery under way */
	uint64_t number;	/* 0: free */
	struct job *job;
	uint32_t rcpt;
};

enum { BOUNCERS = 4 };

struct bouncer {
	int sock;		/* -1: not running */
	struct active *serves;
	uint64_t idle;		/* since */
};

struct send {
	struct channel channel[CHANNELS];
	struct table table;
	struct marks marks;
	struct route route;
	int queue;		/* the directory */
	struct scan scan;
	struct dest **dest;
	size_t dests;
	struct active *actives;
	uint32_t nactive;
	uint32_t nstill;	/* of these, without a delivery under way */
	uint64_t crowd;		/* recipients of these, where they are many */
	struct table_list fresh;
	struct slot *slot;
	uint32_t slots, free_slot;
	uint64_t number;	/* of the last delivery */
	struct bouncer bouncer[BOUNCERS];
	struct active *bounces, **bounces_end;
	unsigned int lifetime, delaynotice, bouncelimit;
	struct schedule schedule;
	struct paces paces;
	struct steady steady;
	struct memory memory;
	struct dest *oldest, *newest; /* idle destinations */
	size_t idle;
	uint64_t rate_at;	/* when a rate allows more; 0: none waits */
	uint64_t ticket;	/* of the next request to queued */
	int hurry;		/* an administrator wants all tried */
	int exiting;
	uint64_t now;		/* monotonic milliseconds */
	uint64_t mark_at;	/* when to mark what is done; 0: nothing */
	uint64_t retry_at;	/* when an active message is due at a channel,
				 * whatever it waits for at the other; 0 */
};

/* Monotonic seconds, as the table counts them. */
#define SECONDS(s) ((uint32_t)((s)->now / 1000))

/* Out of memory: says so and waits a while; the caller tries again. */
extern void state_nomem(void);
/* Looks at the clocks, and complains of a jump. */
extern void state_clocks(struct send *s);
/* Seconds since that birth, in microseconds since 1970. */
extern uint64_t state_age(struct send const *s, uint64_t birth);

#endif
