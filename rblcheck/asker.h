/* asker: questions in flight, all at once, to every server of <resolvers.h>.
 *
 * A question goes to the first server; to the next when that one fails, or
 * stays silent for a while; again to the first, and so on, until one answers
 * or the time is up.  Each server gets each question from a socket of its own
 * (connected, so that only that address and port can answer), under a random
 * id, with the letters of the name in random case.  The socket stays open
 * while others are asked: a late answer counts.  A repetition over the same
 * socket is the same packet.
 *
 * A truncated answer is fetched by TCP.  A server that does not know EDNS0 is
 * asked without; one that changes the case of letters, without that.
 */
#ifndef ASKER_H
#define ASKER_H

#include <poll.h>
#include <stdint.h>

#include "rblcheck/dnspacket.h"
#include "rblcheck/resolvers.h"

enum {
	ASKER_OPEN = 128,	/* questions in flight: with RESOLVERS_MAX
				 * sockets each within 1024 descriptors */
	ASKER_TAG = 32
};

struct attempt {		/* one question to one server */
	int fd;			/* -1: not asked, or no more */
	int state;
	char query[2 + DNSPACKET_QUERY];	/* length, for TCP, in front */
	size_t len;		/* of the query without its length */
	char *reply;		/* by TCP, with its length in front */
	size_t have;
};

struct question {
	int open;
	char tag[ASKER_TAG + 1];
	struct dnsname name;
	int64_t deadline;	/* clock_ms */
	int64_t next;		/* time to ask again, or another server */
	int64_t patience;
	unsigned int turn;	/* server to ask then */
	int letters;		/* random case; off when not kept */
	char const *why;	/* of the last failure */
	struct attempt at[RESOLVERS_MAX];
};

/* Called once for each question: result, whether DNSSEC vouches for it, and
 * the text of dnspacket_read (FAILED: a word; TIMEOUT: "").
 */
typedef void asker_done(struct question const *q, int result, int secure,
    char const *text, size_t len);

struct asker {
	struct resolvers servers;
	asker_done *done;
	struct question q[ASKER_OPEN];
	unsigned int open;
};

/* A free slot, for the caller to set tag, name and deadline in and then to
 * start; 0: none is free.
 */
extern struct question *asker_slot(struct asker *a);
extern void asker_start(struct asker *a, struct question *q);

/* Waits for something to happen, on the open questions or on extra->fd (-1:
 * none), and deals with the former.
 */
extern void asker_step(struct asker *a, struct pollfd *extra);

#endif
