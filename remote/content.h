/* content: the message that goes out, read in place, never through its
 * descriptor's offset.  A small one is read once.
 */
#ifndef REMOTE_CONTENT_H
#define REMOTE_CONTENT_H

#include <stddef.h>
#include <stdint.h>

struct content {
	int fd;
	uint64_t size;		/* the message is the file's first bytes */
	uint64_t wire;		/* how long it is in SMTP, without the end */
	uint32_t crc;
	int eight;		/* it has bytes above 127 */
	uint64_t at;		/* buf holds these bytes of it */
	size_t len;
	char buf[32768];
};

/* Reads all of it, for wire, crc and eight.  1; -1 with errno (EIO: the file
 * is shorter than size).
 */
extern int content_start(struct content *c, int fd, uint64_t size);

/* Bytes from *pos on, as many as are at hand; *pos moves behind them.
 * 1; 0 at the end; -1.
 */
extern int content_bytes(struct content *c, uint64_t *pos, char const **s,
    size_t *n);

#endif
