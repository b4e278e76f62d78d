/* body: the message, read in place: any number of times, never through the
 * descriptor's offset.  A small message is read once and kept.
 */
#ifndef LOCAL_BODY_H
#define LOCAL_BODY_H

#include <stddef.h>
#include <stdint.h>

struct body {
	int fd;
	uint64_t size;		/* the message is the file's first bytes */
	uint64_t at;		/* buf holds these bytes of it */
	size_t len;
	char buf[65536];
};

extern void body_start(struct body *b, int fd, uint64_t size);

/* Bytes from *pos on, as many as are at hand; *pos moves behind them.
 * 1; 0 at the end; -1 with errno (EIO: the file is shorter than it was).
 */
extern int body_bytes(struct body *b, uint64_t *pos, char const **s,
    size_t *n);

/* The same, but no further than the next LF, which is included.  A line
 * longer than the buffer comes in pieces; whole says whether this is the last
 * one.
 */
extern int body_line(struct body *b, uint64_t *pos, char const **s, size_t *n,
    int *whole);

#endif
