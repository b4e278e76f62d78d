/* ruleset: the compiled rules of scanrules(5), a cdb.
 *
 *	""            "scanrules 1", LF, and the letters of the subjects that
 *	              occur
 *	"r" number    one rule (rule.h), in the order of the file; numbers are
 *	              four bytes, big-endian, from 0
 *	letter key    the numbers of the rules for this subject and key, in
 *	              order
 */
#ifndef RULESET_H
#define RULESET_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "lib/cdbfile.h"
#include "scanq/rule.h"

/* Writing. */
struct ruleset_maker {
	struct cdbmaker cdb;
	stralloc keys;		/* entries: number, length, key; see .c */
	uint32_t count;
	char subjects[32];
};
#define RULESET_MAKER_ZERO { CDBMAKER_ZERO, STRALLOC_ZERO, 0, "" }

extern int ruleset_create(struct ruleset_maker *m, char const *file);
extern int ruleset_add(struct ruleset_maker *m, struct rule const *r);
extern int ruleset_commit(struct ruleset_maker *m);	/* 1, -1 */
extern void ruleset_abort(struct ruleset_maker *m);

/* Reading. */
struct ruleset {
	struct cdbfile cdb;
	char subjects[32];
};
#define RULESET_ZERO { CDBFILE_ZERO, "" }

/* 1; 0 no such file: a set without rules; -1 (EPROTO: not such a file). */
extern int ruleset_open(struct ruleset *s, char const *file);
extern void ruleset_close(struct ruleset *s);

/* Is there any rule for this subject? */
extern int ruleset_has(struct ruleset const *s, enum subject subject);

/* The numbers of the rules for a key: *n of them, to be read with
 * ruleset_number.  1; 0 none; -1 damaged.
 */
extern int ruleset_find(struct ruleset *s, enum subject subject,
    char const *key, size_t len, char const **numbers, size_t *n);
extern uint32_t ruleset_number(char const *numbers, size_t i);

extern int ruleset_rule(struct ruleset *s, uint32_t number, struct rule *r);

#endif
