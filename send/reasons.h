/* reasons: why deliveries failed for now, for those who ask: the last report
 * of each message, cut to REASONS_LEN bytes.  Equal ones are kept once, and
 * the newest REASONS_MOST of them: at most some 3 MB, however long the queue.
 */
#ifndef REASONS_H
#define REASONS_H

#include <stdint.h>

enum {
	REASONS_LEN = 160,
	REASONS_MOST = 16384	/* a power of 2 */
};

/* A handle to that text; 0: no memory for it. */
extern uint32_t reasons_put(char const *text);

/* The text, or null: it made room for newer ones, or the handle is 0. */
extern char const *reasons_get(uint32_t handle);

#endif
