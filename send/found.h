/* found: messages that send hears of, by their ids. */
#ifndef FOUND_H
#define FOUND_H

#include "send/memory.h"
#include "send/state.h"

/* The trigger, or an administrator, named it: it is new, whatever the reading
 * of the directories said meanwhile.
 */
extern int found_new(void *send, uint64_t id);

/* A reading of the directories saw it: the first one since our start, or a
 * later one.
 */
extern int found_old(void *send, uint64_t id);
extern int found_later(void *send, uint64_t id);

#endif
