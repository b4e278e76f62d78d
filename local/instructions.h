/* instructions: what a .qmail file says is done, line by line. */
#ifndef LOCAL_INSTRUCTIONS_H
#define LOCAL_INSTRUCTIONS_H

#include "local/delivery.h"

struct instructions {
	stralloc text;		/* ends in LF */
	int forward_only;	/* the file's x bit: no file, no program */
	int nested;		/* a mailbox's own, below the domain's */
};
#define INSTRUCTIONS_ZERO { STRALLOC_ZERO, 0, 0 }

/* Reads a file of the current directory.  1; 0 there is none (or it is no
 * regular file); -1 with d->outcome set.  An empty file gives an empty text.
 */
extern int instructions_read(struct delivery *d, char const *name,
    struct instructions *in);

/* 1 all done but the forwards, which d->forwards has; 0 the same, a command
 * having said that this is enough; -1 with d->outcome set.
 */
extern int instructions_follow(struct delivery *d, struct instructions *in);

/* Delivers into that Maildir, at a path below the current directory.
 * 1, or -1 with d->outcome set.
 */
extern int instructions_maildir(struct delivery *d, char const *path);

/* Remembers a forward.  1, or -1 with d->outcome set. */
extern int instructions_forward(struct delivery *d, char const *s, size_t n);

#endif
