/* judge: what the access rules and the limits set on the command line mean
 * for one client.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include <stdint.h>

#include "rules/connection.h"
#include "rules/peers.h"
#include "rules/rule.h"
#include "rules/rulesfile.h"

struct judge {
	struct rulesfile rules;
	int open_without_rules;		/* no such file: no rule decides */
	struct peers_limits limits;	/* where the rule says nothing */
	unsigned int greet_delay;	/* seconds */
	int limits_only;		/* somebody behind us applies the rules,
					 * who knows the client's name */
};

struct judgement {
	int ruled;			/* rule is set: valid until next call */
	struct rule rule;
	struct peers_limits limits;
	unsigned int greet_delay;
};

/* A rule's variables MAXPERIP, MAXPERNET, MAXRATEIP, MAXRATENET, GREETDELAY
 * stand in for the limits.  With limits_only no rule denies, and ruled is 0.
 * 1 allowed; 0 denied; -1 the rules cannot be read.  now: monotonic
 * milliseconds, for the log.
 */
extern int judge_client(struct judge *g, struct connection const *c,
    uint64_t now, struct judgement *out);

#endif
