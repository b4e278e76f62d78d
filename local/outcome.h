/* outcome: what becomes of one delivery: a letter and a text.
 *	K done   Z try again later   D failed for good   C message damaged
 */
#ifndef LOCAL_OUTCOME_H
#define LOCAL_OUTCOME_H

#include <skalibs/stralloc.h>

struct outcome {
	char letter;
	stralloc text;		/* what commands said stands in front */
};

/* Appends the strings up to a null pointer, and sets the letter.  Returns -1,
 * always: "return outcome_temp(...)".
 */
extern int outcome_set(struct outcome *o, char letter,
    char const *const *parts);

#define outcome_temp(o, ...) \
	outcome_set((o), 'Z', (char const *const []){ __VA_ARGS__, 0 })
#define outcome_perm(o, ...) \
	outcome_set((o), 'D', (char const *const []){ __VA_ARGS__, 0 })

/* "Unable to WHAT NAME: REASON. (#4.3.0)", REASON as errno says; Z. */
extern int outcome_errno(struct outcome *o, char const *what,
    char const *name);

#endif
