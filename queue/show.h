/* show: messages of the queue in words or as JSON (RFC 8259). */
#ifndef SHOW_H
#define SHOW_H

#include <stdint.h>

#include <skalibs/stralloc.h>

#include "queue/look.h"

/* What send says of a message. */
struct said {
	char state;		/* a letter of INTERNALS 4.5; 0: it is not
				 * asked, or does not know the message */
	uint64_t next;		/* seconds until its next try */
	char const *reason;	/* of its last deferral; "" */
};

/* Asks send, if orders are open.  out holds what *said points to. */
extern void show_ask(uint64_t id, struct said *said, stralloc *out);

/* The word for a state, of a message that may be held. */
extern char const *show_state(struct said const *said, int held);

/* One message to standard output; json: an object.  choice: which of its
 * recipients.
 */
extern void show_message(struct look const *l, struct said const *said,
    struct choice const *c, int json);

/* Bytes of others. */
extern void show_text(char const *s, size_t n);
extern void show_json_string(char const *s, size_t n);

#endif
