/* logfiles: the files of one log, in the order in which they were written,
 * and the place where a reader has stopped, kept across rotations.
 *
 * A directory of s6-log, multilog or svlogd: its @TAI64N.* files, then
 * "previous", then "current".  A plain file: NAME.9 ... NAME.1 and
 * NAME-20261125, whichever there are, then NAME.  Compressed ones are passed
 * over.
 *
 * A place is an inode, an offset, and a checksum of how the file begins, so
 * that renaming does not matter and a new file under an old inode is not
 * mistaken.  Where the file is gone, reading goes on with what is newer than
 * the time of the last line that was read.
 */
#ifndef LOGFILES_H
#define LOGFILES_H

#include <stddef.h>
#include <stdint.h>

enum { LOGFILES_NAME = 256, LOGFILES_MOST = 1000 };

struct logplace {
	uint64_t inode;		/* 0: nothing has been read yet */
	uint64_t offset;
	uint64_t time;		/* of the last line; 0: unknown */
	uint32_t start;		/* CRC of the first bytes, up to offset */
};

struct logfiles {
	int dir;
	int fd;			/* the open file, close-on-exec */
	int finished;		/* nobody writes it any more */
	int lost;		/* the place was gone: pass over what is not
				 * newer than place.time */
	int only_last;		/* "current" alone, if nothing was read yet */
	struct logplace place;	/* where fd stands */
	char base[LOGFILES_NAME]; /* of a plain file; "": a directory */
};

/* from: where an earlier reader has stopped, or 0.  1; 0: no such log, or no
 * file in it (yet); -1 with errno.
 */
extern int logfiles_open(struct logfiles *l, char const *path,
    struct logplace const *from);

/* The caller has read fd to its end, and says where that is.  1: there is
 * more: fd and finished may have changed; 0: not now; -1 with errno.
 */
extern int logfiles_next(struct logfiles *l, uint64_t offset, uint64_t time);

/* As next, when the caller stops here. */
extern void logfiles_stop(struct logfiles *l, uint64_t offset, uint64_t time);

extern void logfiles_close(struct logfiles *l);

#endif
