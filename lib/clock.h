/* clock: how much time goes by.  It never jumps, whatever is done to the date
 * (clock_gettime(2), CLOCK_MONOTONIC); its zero means nothing.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

extern uint64_t clock_ms(void);
extern uint64_t clock_seconds(void);

#endif
