/* pump: bytes of one connection, both ways, as far as they go at once. */
#ifndef PUMP_H
#define PUMP_H

#include "tls/conn.h"

enum { PUMP_RECORD = 16384 };	/* RFC 8446 5.1 */

/* Sets c->more if there is more to do, the ends and what TLS waits for.
 * *moved becomes 1 if a byte did.  1; -1: the direction is broken,
 * pump_reason says why.
 */
extern int pump_in(struct conn *c, int *moved);
extern int pump_out(struct conn *c, int *moved);

/* The events that TLS waits for after r of one of its calls, 0: it failed. */
extern uint32_t pump_waits(SSL *tls, int r);
/* Why.  Static text. */
extern char const *pump_reason(void);

/* Wipes and frees what waits in one direction. */
extern void pump_drop(struct half *h);

#endif
