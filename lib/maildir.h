/* maildir: deliver one message into a Maildir, durably
 * (https://cr.yp.to/proto/maildir.html, with today's unique names).
 *
 * tmp/NAME is written, synced, moved to new/NAME, new/ is synced: two syncs,
 * no torn file is ever seen in new/, on any file system.
 * On ext4 and XFS the first is only waited for until the contents are written
 * (sync_file_range(2)), and the file itself is synced behind the move: their
 * journals keep the order, and one flush of the disk does the work of two.
 * NAME is TIME.M<usec>P<pid>V<dev>I<inode>.HOST,S=<bytes>,W=<bytes>: size as
 * stored, and with each LF that has no CR before it counted as CRLF.
 */
#ifndef MAILDIR_H
#define MAILDIR_H

#include <stddef.h>
#include <stdint.h>

enum { MAILDIR_NAME = 256 };	/* room for a file's name: NAME_MAX and NUL */

struct maildir {
	int tmpdir, newdir, fd;	/* tmp/ and new/; the file in tmp/ */
	uint64_t size, lines;	/* so far; LFs without a CR before them */
	size_t used;
	char last;		/* byte put before */
	char tmp[MAILDIR_NAME];	/* file names, in tmp/ and in new/ */
	char name[MAILDIR_NAME];
	char buf[8192];
};

/* Two syncs on every file system, from now on (control/strictsync). */
extern void maildir_strict(int yes);

/* Opens the Maildir at path below the current directory, never through a
 * symbolic link in its last component or in tmp and new, and a file in its
 * tmp.  1, or -1 with errno (ENOENT, ENOTDIR, ELOOP: no Maildir there).
 */
extern int maildir_open(struct maildir *m, char const *path);

/* Appends.  1, or -1 with errno, and then only maildir_abort makes sense. */
extern int maildir_put(struct maildir *m, char const *s, size_t n);

/* Makes the message visible and durable, and closes.  1; -1 with errno:
 * nothing is delivered, everything is removed and closed.
 */
extern int maildir_commit(struct maildir *m);

extern void maildir_abort(struct maildir *m);

#endif
