/* spool: a message on its way through another program, in a file without a
 * name, with room in front for header lines that are known at its end.
 *
 * Up to SPOOL_MEMORY bytes in memory (memfd), above in an unlinked file below
 * $TMPDIR or /tmp, unless none can be made there.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <stddef.h>
#include <sys/types.h>

enum { SPOOL_MEMORY = 1048576 };

struct spool {
	int fd;
	off_t room;		/* in front */
	off_t end;
	int large;		/* it has been moved, or cannot be */
};

/* 1, -1 with errno. */
extern int spool_open(struct spool *s, size_t room);
/* Behind what is there.  1, -1. */
extern int spool_put(struct spool *s, char const *from, size_t n);
/* Puts lines in front and moves the descriptor's offset to their start.  1;
 * -1 (EMSGSIZE: they are longer than the room).
 */
extern int spool_front(struct spool *s, char const *lines, size_t n);

/* All of it, for reading alone (where there is /proc): a descriptor at its
 * start, the only one that is left; -1.
 */
extern int spool_take(struct spool *s);

/* A file of s[0..n), then t[0..tn), as spool_take gives it; -1. */
extern int spool_bytes(char const *s, size_t n, char const *t, size_t tn);

/* A second descriptor of fd's file, for reading alone; -1. */
extern int spool_reopen(int fd);

#endif
