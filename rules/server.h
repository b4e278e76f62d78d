/* server: accepts clients, judges them, and starts a program for each. */
#ifndef SERVER_H
#define SERVER_H

#include "rules/judge.h"
#include "rules/listener.h"
#include "rules/refusal.h"

struct server {
	struct listener listener[LISTENER_MOST];
	unsigned int listeners;
	char const *const *argv;	/* of the program */
	char const *const *shorter;	/* the same without its first word, for
					 * as long as there is nothing in */
	char const *optional;		/* this file; or null */
	struct judge judge;
	unsigned int limit;		/* connections at a time */
	struct refusal refusal;
	unsigned int grace;		/* seconds for children to finish */
};

/* From here on signals do what they should.  1, -1 with errno. */
extern int server_init(struct server *s);

/* Returns after SIGTERM, when the children have ended or grace is over.
 * peers, children, balancers, connenv and connlog have been initialised.
 */
extern void server_run(void);

#endif
