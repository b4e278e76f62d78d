/* balancers: connections from load balancers, which say who the client is
 * (proxyheader.h) before the client itself speaks.
 */
#ifndef BALANCERS_H
#define BALANCERS_H

#include <poll.h>
#include <stdint.h>

#include "rules/connection.h"

/* "192.0.2.5,10.1.0.0/16": who may say so.  1; 0 malformed or too many. */
extern int balancers_list(char const *list);

/* Room for so many at a time.  1, -1 out of memory. */
extern int balancers_init(unsigned int most);

/* Is the client a balancer? */
extern int balancers_has(struct connection const *c);

/* Waits for its header.  now: monotonic milliseconds. */
extern void balancers_add(struct connection const *c, uint64_t now);

extern unsigned int balancers_waiting(void);

/* Fills in one pollfd for each that waits, in the order of balancers_serve,
 * and takes *until down to the first deadline.
 */
extern void balancers_poll(struct pollfd *p, uint64_t *until);

/* Reads what came; calls ready for each whose header is complete (it owns
 * c->fd from then on), refused for those that are malformed or late.
 */
extern void balancers_serve(struct pollfd const *p, uint64_t now,
    void (*ready)(struct connection *), void (*refused)(struct connection *));

#endif
