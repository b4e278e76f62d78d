/* keyfile: files with private keys, for the programs that hold them.
 *
 * What is wrong with a file is logged, as one warning with its name.
 */
#ifndef KEYFILE_H
#define KEYFILE_H

#include <stddef.h>

/* The whole of a regular file, not behind a link, into s[0..max), which the
 * caller wipes.  That others may read it is told.  1; -1, told.
 */
extern int keyfile_read(int dir, char const *name, char *s, size_t max,
    size_t *n);

/* For OpenSSL: a key with a password is none for a server. */
extern int keyfile_no_password(char *s, int n, int writing, void *what);

/* why: a text, or 0 for errno.  -1 */
extern int keyfile_warn(char const *what, char const *file, char const *why);

#endif
