/* cdbfile: constant databases, read and written.  The only user of <cdb.h>:
 * libcdb and libskarnet both export cdb_init and friends, so the Makefile
 * hides libcdb's behind these names.  Format: http://cr.yip.to/cdb/cdb.txt.
 */
#ifndef CDBFILE_H
#define CDBFILE_H

#include <stddef.h>

#include <skalibs/stralloc.h>

struct cdbfile {
	void *db;	/* 0: nothing open */
};
#define CDBFILE_ZERO { 0 }

/* Opens and maps a file.  1; 0 no such file; -1 with errno (EPROTO: not a
 * cdb).  A file replaced later leaves this map as it was.
 */
extern int cdbfile_open(struct cdbfile *c, char const *file);
extern int cdbfile_openat(struct cdbfile *c, int dirfd, char const *file);
extern void cdbfile_close(struct cdbfile *c);

/* The first record with that key.  1; 0 none, or nothing open; -1 damaged.
 * *value points into the map: valid until cdbfile_close.
 */
extern int cdbfile_get(struct cdbfile *c, char const *key, size_t keylen,
    char const **value, size_t *len);

/* The same from an open file, by read(2), for a program that asks little and
 * ends: to map a file and to take the map down costs more than some ten
 * lookups.  The value replaces what *value held.  1; 0 none; -1 with errno
 * (EPROTO: damaged, or a value of more than 64 KiB).
 */
extern int cdbfile_read(int fd, char const *key, size_t keylen,
    stralloc *value);

/* Every record in file order: start with *pos = 0.  1; 0 no more; -1. */
extern int cdbfile_next(struct cdbfile *c, unsigned int *pos,
    char const **key, size_t *keylen, char const **value, size_t *len);

/* Writing: to a temporary file in the same directory, which commit makes
 * durable and moves to its name at one stroke.
 */
struct cdbmaker {
	void *make;
	char *tmp;
	char *file;
	int fd;
};
#define CDBMAKER_ZERO { 0, 0, 0, -1 }

/* 1, or -1 with errno; after -1 nothing is left behind and the maker is
 * closed.  mode: permissions of the new file.  Keys may repeat.
 */
extern int cdbmaker_open(struct cdbmaker *m, char const *file, int mode);
extern int cdbmaker_add(struct cdbmaker *m, char const *key, size_t keylen,
    char const *value, size_t len);
extern int cdbmaker_commit(struct cdbmaker *m);
extern void cdbmaker_abort(struct cdbmaker *m);

#endif
