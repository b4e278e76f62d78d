/* unzip: what is in the entries of a zip archive, wherever their local headers
 * stand among other bytes, as zip.h finds their names.
 *
 * Format: PKWARE's APPNOTE.TXT, 4.3.7 and 4.4; deflate is zlib's.
 */
#ifndef UNZIP_H
#define UNZIP_H

#include <stddef.h>
#include <sys/types.h>

#include <zlib.h>

struct unzip {
	char const *s;
	size_t n, at;
	char const *name;	/* of the entry */
	size_t nn;
	int encrypted;
	unsigned int method;
	size_t left;		/* of an entry that is stored */
	z_stream z;
};

/* The archive is s[0..n).  1, 0: no memory. */
extern int unzip_start(struct unzip *u, char const *s, size_t n);

/* The next entry.  1; 0: there are no more. */
extern int unzip_next(struct unzip *u);

/* Is it one that can be read? */
extern int unzip_is_known(struct unzip const *u);

/* More of what is in it.  Bytes; 0 at its end; -1: it cannot be read. */
extern ssize_t unzip_read(struct unzip *u, char *s, size_t n);

extern void unzip_end(struct unzip *u);

#endif
