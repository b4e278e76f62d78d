/* orders: asks send by its socket (INTERNALS 4.5), many requests at once. */
#ifndef ORDERS_H
#define ORDERS_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* What has come of an order: 0, an errno, ETIMEDOUT: it will be done when the
 * deliveries under way have ended.
 */
typedef void orders_told(void *ctx, uint64_t id, int err);

/* Connects.  1; -1 with errno: send is not running, or we may not. */
extern int orders_open(void);
extern int orders_are_open(void);

/* One request and its answer: fields behind id and errno into *out.  1; 0
 * send refuses, errno says why; -1 it is gone.
 */
extern int orders_ask(char kind, uint64_t id, stralloc *out);

/* Gives an order; told is called for it, or earlier ones, or later.  1, -1. */
extern int orders_give(char kind, uint64_t id, stralloc const *offsets,
    orders_told *told, void *ctx);
/* One order, to its end.  0, or an errno as above; -1 send is gone. */
extern int orders_one(char kind, uint64_t id, stralloc const *offsets);
/* Waits for all answers.  1, -1. */
extern int orders_end(orders_told *told, void *ctx);

#endif
