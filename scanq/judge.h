/* judge: what the rules say to what is known about a message.
 *
 * Each fact (a name, a header field, an anomaly, ...) is shown to the rules
 * for it in the order of the file; the first that fits decides about this
 * fact.  An allow rule about the envelope, the client or the size ends the
 * search for all rules behind it.  Of all that is found the strictest action
 * counts, and of equals the first.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "scanq/pattern.h"
#include "scanq/ruleset.h"
#include "scanq/walk.h"

enum {
	JUDGE_FINDINGS = 32,	/* kept; more only count */
	JUDGE_WAITING = 256,	/* names whose size is not known yet */
	JUDGE_PATTERNS = 64	/* compiled and kept for one message */
};

struct finding {
	enum action action;
	stralloc text;		/* the rule's description, or the anomaly */
	stralloc about;		/* the name, value, ... it is about, cut */
};

struct waiting {
	uint32_t part;
	int decided;
	stralloc name;
};

struct judge {
	struct ruleset rules;
	struct span sender;
	stralloc const *envelope;
	char const *ip, *host, *user;	/* of the client, or 0 */
	uint32_t end;		/* rules from here on do not count */
	enum action worst;
	size_t worst_at;	/* its finding */
	struct finding finding[JUDGE_FINDINGS];
	size_t findings;
	struct waiting waiting[JUDGE_WAITING];
	size_t waitings;
	uint32_t pattern_number[JUDGE_PATTERNS];
	struct pattern pattern[JUDGE_PATTERNS];
	size_t patterns;
	unsigned char anomaly[WALK_ANOMALY_COUNT];	/* seen */
	size_t anomalies;
	int error;		/* errno of trouble: no verdict */
};

/* *j is all zero.  envelope: as given_envelope gives it.  Opens the rules
 * and judges envelope, client and size.  1, -1.
 */
extern int judge_start(struct judge *j, char const *rules,
    stralloc const *envelope, uint64_t size);

/* Is there a rule about names? */
extern int judge_has_names(struct judge const *j);

extern void judge_event(struct judge *j, struct walk_event const *e);
/* Behind the last event. */
extern void judge_end(struct judge *j);

/* The SHA-256 of a leaf, 64 digits. */
extern void judge_hash(struct judge *j, char const *hex);

/* clamd's name for it; the action taken. */
extern enum action judge_signature(struct judge *j, char const *s, size_t n);

/* A fact that no rule is about. */
extern void judge_add(struct judge *j, enum action action, char const *text,
    char const *about, size_t n);

#endif
