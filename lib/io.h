/* io: one conversation with a peer, line by line, under a deadline.
 *
 * A session function works on this struct alone, so that a test or a fuzzer
 * can hold the conversation in memory: it replaces recv, send and now.
 * Buffers are static in size and untouched until used: an idle connection
 * costs its page tables and little more.
 */
#ifndef IO_H
#define IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct io io;
struct io {
	/* Up to max bytes: > 0; 0 at the end; -1 with errno, ETIMEDOUT when
	 * the deadline has passed. */
	ssize_t (*recv)(io *, char *s, size_t max);
	/* All n bytes: 1; or -1 with errno. */
	int (*send)(io *, char const *s, size_t n);
	uint64_t (*now)(io *);	/* monotonic seconds */
	void *ctx;		/* for recv, send and now */
	int in, out;
	uint64_t deadline;	/* of the current command, in seconds of now */
	size_t head, tail;	/* of in_buf: what is read and not consumed */
	size_t used;		/* of out_buf: what is not sent yet */
	char in_buf[8192];
	char out_buf[4096];
};

/* Over two descriptors, with poll(2). */
extern void io_init(io *, int in, int out);

/* From now on everything must be done within so many seconds. */
extern void io_deadline(io *, unsigned int seconds);

/* Makes sure that in_buf[head..tail) is not empty.  What waits in out_buf is
 * sent first if this has to wait for the peer.  1; 0 at the end; -1.
 */
extern int io_fill(io *);

/* The next line, without its LF (a CR before it stays).  *s points into
 * in_buf and is valid until the next call.  At most max bytes, which is less
 * than the buffer; a longer line is read to its end, thrown away, and
 * reported as -1 with EMSGSIZE.  1; 0 at the end (a last line without LF is
 * not a line); -1.
 */
extern int io_line(io *, char const **s, size_t *n, size_t max);

/* Puts bytes behind those that wait; sends when the buffer is full.  1, -1. */
extern int io_put(io *, char const *s, size_t n);
extern int io_puts(io *, char const *s);
/* Sends what waits, in one write if the kernel takes it.  1, -1. */
extern int io_flush(io *);

/* Is there input that has been read and not consumed?  (Pipelining; and what
 * must be thrown away before a switch to TLS.)
 */
extern int io_pending(io const *);
extern void io_discard(io *);

#endif
