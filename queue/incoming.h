/* incoming: one message on its way into the queue, from "N" to "K".
 *
 * Results are exit codes of qmail-queue(8); *why then says what is wrong, for
 * the client's log.  After a code other than 0 nothing of the message is left.
 */
#ifndef INCOMING_H
#define INCOMING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "lib/session.h"
#include "queue/store.h"

struct incoming {
	int fd;			/* -1: there is no message */
	uint64_t id, birth;
	uint64_t head;		/* bytes of our Received line */
	uint32_t head_crc;
	char session[SESSION_LEN];
	stralloc envelope;	/* pieces so far */
	int too_large;		/* of pieces that came and were not kept */
};
#define INCOMING_ZERO { .fd = -1, .envelope = STRALLOC_ZERO }

/* Who sends it, as the kernel says. */
struct sender {
	uid_t uid;
	pid_t pid;
};

/* Makes the file, with our Received line in it. */
extern int incoming_begin(struct store *st, struct sender const *from,
    char const *session, size_t n, struct incoming *in, char const **why);

/* A piece of the envelope. */
extern void incoming_piece(struct incoming *in, char const *s, size_t n);

/* What "C" says. */
struct claim {
	uint64_t size;		/* bytes written by the client */
	uint32_t crc;		/* of the whole body */
	char const *last;	/* piece of the envelope */
	size_t len;
};

struct receipt {
	uint64_t size;		/* of the body */
	unsigned int recipients;
	char const *from;	/* where the envelope is */
	size_t from_len;
};

/* Makes it a message of the queue, durably; in->id may have changed. */
extern int incoming_commit(struct store *st, struct sender const *from,
    struct incoming *in, struct claim const *claim, struct receipt *out,
    char const **why);

/* Gives it up. */
extern void incoming_drop(struct incoming *in);

#endif
