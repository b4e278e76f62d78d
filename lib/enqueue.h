/* enqueue: hand one message to the queue, durably.
 *
 * Where $QMAILQUEUE is set, that program takes it (qmail-queue's interface:
 * message on descriptor 0, envelope on 1, an error text of its own on 4, 6 or
 * $ERROR_FD).  Otherwise queued takes it over its socket: it passes us the
 * descriptor of the new file, we write the body straight into it, and the
 * answer comes after the file has been synced.
 *
 *	enqueue q;
 *	if (enqueue_open(&q) == 1) {
 *		enqueue_put(&q, ...);		as often as needed
 *		code = enqueue_close(&q, &envelope);
 *	} else
 *		code = q.code;
 *
 * Trouble on the way is remembered: only enqueue_open and enqueue_close need
 * a check.  The home directory is the current directory.  From the first call
 * on, SIGPIPE and SIGXFSZ are ignored.  The connection to queued is kept for
 * this process's next message.
 */
#ifndef ENQUEUE_H
#define ENQUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

enum { ENQUEUE_TEXT = 256 };

/* Exit codes of qmail-queue(8) that our own side uses. */
enum {
	QUEUE_OK = 0,
	QUEUE_ADDRESS = 11,	/* address too long */
	QUEUE_REFUSED = 31,	/* for good */
	QUEUE_MEMORY = 51,
	QUEUE_TIMEOUT = 52,
	QUEUE_WRITE = 53,	/* write error or disk full */
	QUEUE_READ = 54,
	QUEUE_CONFIG = 55,
	QUEUE_NETWORK = 56,	/* queued cannot be reached */
	QUEUE_HOME = 61,
	QUEUE_FILE = 64,	/* trouble creating files in queue */
	QUEUE_DEFERRED = 71,
	QUEUE_BUG = 81,
	QUEUE_TEXT = 82,	/* see text */
	QUEUE_TEXT_TOO = 88,	/* the same, from a program; becomes 82 */
	QUEUE_ENVELOPE = 91,
	QUEUE_EXEC = 120,
	QUEUE_CRASHED = 256,	/* no exit code: killed by a signal */
	QUEUE_LOST = 257	/* no exit code: waitpid failed */
};

typedef struct {
	int code;		/* of the first trouble; 0: none so far */
	char text[ENQUEUE_TEXT]; /* printable.  QUEUE_TEXT: "D..." or "Z...";
				 * otherwise queued's reason, for the log */
	pid_t pid;		/* "qp PID": the process that queued it: the
				 * program, or ourselves */
	uint64_t id;		/* of the message; 0: the program did not say */
	/* the rest is enqueue's own */
	int sock, body, envelope, report;
	uint32_t crc;
	uint64_t size;
	size_t used;
	char buf[8192];
} enqueue;

/* 1; -1 with q->code set, and nothing to close. */
extern int enqueue_open(enqueue *q);
/* The same; where $QMAILQUEUE is not set, that program takes it, if any. */
extern int enqueue_open_by(enqueue *q, char const *program);

/* Appends to the message.  Lines end in LF. */
extern void enqueue_put(enqueue *q, char const *s, size_t n);

/* Ends it.  *env: "F" reverse-path NUL, then "T" recipient NUL for each, as
 * qmail-queue(8) has it, without the final NUL.  Returns QUEUE_OK after the
 * message is on disk; otherwise the code, and it is not in the queue.
 */
extern int enqueue_close(enqueue *q, stralloc const *env);

/* Gives it up: nothing is queued. */
extern void enqueue_abort(enqueue *q);

/* What to tell an SMTP client: code and text, "451 qq timeout (#4.3.0)".  The
 * string is static.  A text of a program's own comes as it is, behind "554 "
 * or "451 ": it may or may not hold an enhanced code.
 */
extern char const *enqueue_reply(enqueue const *q);

#endif
