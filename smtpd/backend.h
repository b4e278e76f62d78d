/* backend: what the dialogue asks of the rest of the suite and of the clock,
 * so that a test or a fuzzer can stand in for all of it.
 *
 * A message goes open, put..., then close or abort.  open and close: 1; 0 not
 * queued, and reply then says why, as an SMTP reply of one line.
 */
#ifndef BACKEND_H
#define BACKEND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

struct question {
	stralloc const *sender, *recipient, *helo;
};

enum { BACKEND_TEXT = 256 };

struct backend {
	int (*open)(struct backend *);
	void (*put)(struct backend *, char const *s, size_t n);
	int (*close)(struct backend *, stralloc const *envelope);
	void (*abort)(struct backend *);
	char const *(*reply)(struct backend *);

	/* What the tables say: RECIPIENT_... of lib/recipient.h. */
	int (*recipient)(struct backend *, struct question const *);
	/* 0, or a program to be asked in their place: the same answers;
	 * text: what it wants the client to be told, or "". */
	int (*ask)(struct backend *, struct question const *);

	/* 0, or whether lists of names refuse this sender or HELO: 1, text is
	 * why, in the manner of $RBLSMTPD; 0 they do not; -1 trouble, which
	 * has been logged. */
	int (*names)(struct backend *, struct question const *);

	uint64_t (*time)(struct backend *);	/* seconds since 1970 */
	void (*pause)(struct backend *, unsigned int seconds);

	char text[BACKEND_TEXT];
	pid_t pid;		/* of the last message: "qp PID" */
	int connection;
};

/* The real one, over lib/enqueue.h and lib/recipient.h; connection: what a
 * pause watches, to end when the client goes away. */
extern void backend_init(struct backend *, int connection);

#endif
