/* leaves: the decoded contents of a message, put together from the walker's
 * events, each to be scanned by itself when it ends.
 */
#ifndef LEAVES_H
#define LEAVES_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/sha256.h>
#include <skalibs/stralloc.h>

#include "scanq/walk.h"

enum {
	LEAVES_OPEN = WALK_LAYERS * WALK_READINGS,
	LEAVES_MEMORY = 32768,	/* of one; more goes to a file in memory */
	LEAVES_MOST = 500	/* scanned of one message */
};

struct leaf {
	int open;
	uint32_t part;
	unsigned int alt;
	int encoding;
	int text;		/* declared as text */
	stralloc head;		/* as long as there is no file */
	int fd;
	uint64_t size;
	SHA256Schedule hash;
};

struct leaves {
	struct leaf leaf[LEAVES_OPEN];
	unsigned int count;	/* handed over */
	int hashes;		/* compute them */
	uint32_t part;		/* the last one begun, and whether it was */
	int text;		/* declared as text */
	int error;
	/* A leaf has ended.  fd is -1 if data holds it whole. */
	void (*take)(void *ctx, struct leaf const *, int magic);
	void *ctx;
};

extern void leaves_event(struct leaves *l, struct walk_event const *e);

/* 64 hexadecimal digits and NUL. */
extern void leaves_hash(struct leaf const *l, char out[65]);

#endif
