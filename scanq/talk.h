/* talk: a question to a server over its socket, all of it before a deadline.
 */
#ifndef TALK_H
#define TALK_H

#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include <skalibs/stralloc.h>

#include "lib/ipaddr.h"

struct talk_server {
	char const *path;	/* of a unix socket, or 0 */
	char const *name;	/* as its setting has it, for logs */
	struct ipaddr ip;
	unsigned int port;
};

struct talk {
	struct timespec deadline; /* monotonic: of all that is asked */
	char const *why;	/* what went wrong, for the log */
	char const *at;		/* with which server */
	int error;		/* errno of it, or 0 */
	char answer[128];	/* of a server that was not understood */
};

/* Takes an entry, a path or address:port; it is kept.  1; 0 none of both. */
extern int talk_server(struct talk_server *s, char const *entry);

/* From now on all must be done within so many seconds. */
extern void talk_deadline(struct talk *t, unsigned int seconds);
/* What is left. */
extern int talk_milliseconds(struct talk const *t);

extern void talk_trouble(struct talk *t, char const *why, int e);
/* Trouble: what a server said, printable. */
extern void talk_misunderstood(struct talk *t, char const *s, size_t n);

/* A connection, or -1: see why. */
extern int talk_dial(struct talk *t, struct talk_server const *s);

/* Sends all of it, with descriptor pass unless that is -1.  1; 0 errno. */
extern int talk_send(struct talk *t, int fd, char const *s, size_t n,
    int pass);

/* The answer, up to the end of the connection; less than max.  Its length;
 * -1 errno.
 */
extern ssize_t talk_hear(struct talk *t, int fd, char *s, size_t max);

#endif
