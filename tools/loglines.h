/* loglines: the lines of an open log file, in bounded memory.
 *
 * A line longer than LOGLINES_MAX is cut there and the rest passed over.
 * NULs and any other byte are the caller's to bear.  Calls read(2) alone, so
 * that a process under sandbox_pure can read.
 */
#ifndef LOGLINES_H
#define LOGLINES_H

#include <stddef.h>
#include <stdint.h>

enum { LOGLINES_MAX = 8192 };

struct loglines {
	int fd;
	uint64_t offset;	/* behind the last line that was returned */
	size_t head, tail;
	int passing;		/* over the rest of a line that was cut */
	char buf[65536];
};

/* fd stands at offset. */
extern void loglines_init(struct loglines *l, int fd, uint64_t offset);

/* The next line, without its LF, valid until the next call.  At the end of
 * the file a line without LF waits for the rest of it, unless finished: then
 * nobody will write it.  1; 0: no line (yet; more may come); -1 with errno.
 */
extern int loglines_next(struct loglines *l, int finished, char const **s,
    size_t *n);

#endif
