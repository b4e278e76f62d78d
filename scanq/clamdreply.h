/* clamdreply: what an answer of clamd means.  Only exact forms are believed:
 *
 *	fd[NUMBER]: OK NUL		stream: OK NUL
 *	fd[NUMBER]: NAME FOUND NUL	stream: NAME FOUND NUL
 *
 * Everything else, an empty answer too, is no verdict.
 */
#ifndef CLAMDREPLY_H
#define CLAMDREPLY_H

#include <stddef.h>

enum clamd_verdict {
	CLAMD_CLEAN,
	CLAMD_FOUND,
	CLAMD_UNKNOWN		/* an ERROR, or no answer of clamd's at all */
};

/* s[0..n): all that came, up to the end.  fildes: the answer to FILDES, else
 * to INSTREAM.  For CLAMD_FOUND *name and *len are the signature.
 */
extern enum clamd_verdict clamdreply(char const *s, size_t n, int fildes,
    char const **name, size_t *len);

#endif
