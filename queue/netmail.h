/* netmail: what the servers of QMTP and QMQP share: a message on its way from
 * the wire into the queue, with our Received line, and the words about it.
 */
#ifndef NETMAIL_H
#define NETMAIL_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "lib/enqueue.h"

enum {
	NETMAIL_MOST = 200000000,	/* qmail's limit on a netstring */
	NETMAIL_TIMEOUT = 3600		/* s, for one message; qmail's */
};

struct netmail {
	enqueue q;
	int open;		/* q takes bytes */
	char const *refused;	/* why it will not be taken, "D..." or "Z..." */
	uint64_t bytes, max;	/* max 0: no limit */
	stralloc envelope;
	unsigned int recipients;
	char text[ENQUEUE_TEXT + 64];
};

/* control/databytes, or $DATABYTES.  1, -1. */
extern int netmail_limit(uint64_t *max);

/* Begins one; protocol is for its Received line. */
extern void netmail_begin(struct netmail *m, char const *protocol);
extern void netmail_put(struct netmail *m, char const *s, size_t n);
/* The first refusal counts. */
extern void netmail_refuse(struct netmail *m, char const *why);
/* Sender first.  An address that cannot be one refuses the message: 0. */
extern int netmail_sender(struct netmail *m, char const *s, size_t n);
extern int netmail_recipient(struct netmail *m, char const *s, size_t n);
/* Queues it, or gives it up if nobody is to have it.  "K...", "Z..." or
 * "D...", valid as long as *m.
 */
extern char const *netmail_end(struct netmail *m);
extern void netmail_drop(struct netmail *m);

#endif
