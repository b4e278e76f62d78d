#include "lib/cdbfile.h"

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VALUE_MOST = 65536 };	/* that cdbfile_read takes */

int
cdbfile_openat(struct cdbfile *c, int dirfd, char const *file)
{
	struct cdb *db;
	int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	db = malloc(sizeof *db);
	if (db && cdb_init(db, fd) == -1) {
		free(db);
		db = 0;
	}
	close(fd);	/* cdb_init has mapped it */
	if (!db)
		return -1;
	c->db = db;
	return 1;
}

int
cdbfile_open(struct cdbfile *c, char const *file)
{
	return cdbfile_openat(c, AT_FDCWD, file);
}

void
cdbfile_close(struct cdbfile *c)
{
	if (!c->db)
		return;
	cdb_free(c->db);
	free(c->db);
	c->db = 0;
}

int
cdbfile_get(struct cdbfile *c, char const *key, size_t keylen,
    char const **value, size_t *len)
{
	char const *v;
	int r;

	if (!c->db || keylen > UINT_MAX)
		return 0;
	r = cdb_find(c->db, key, keylen);
	if (r != 1)
		return r == 0 ? 0 : -1;
	v = cdb_getdata((struct cdb *)c->db);
	if (!v)
		return -1;
	*value = v;
	*len = cdb_datalen((struct cdb *)c->db);
	return 1;
}

int
cdbfile_read(int fd, char const *key, size_t keylen, stralloc *value)
{
	unsigned int len;
	int r;

	if (keylen > UINT_MAX)
		return 0;
	r = cdb_seek(fd, key, keylen, &len);
	if (r == 1 && len > VALUE_MOST) {
		errno = EPROTO;
		return -1;
	}
	if (r == 1 && !stralloc_ready(value, len + 1))
		return -1;
	if (r == 1)
		r = cdb_bread(fd, value->s, len) == -1 ? -1 : 1;
	if (r == -1 && errno == EIO)	/* the end of the file, for libcdb */
		errno = EPROTO;
	if (r == 1)
		value->len = len;
	return r;
}

int
cdbfile_next(struct cdbfile *c, unsigned int *pos, char const **key,
    size_t *keylen, char const **value, size_t *len)
{
	struct cdb *db = c->db;
	int r;

	if (!db)
		return 0;
	if (*pos == 0)
		cdb_seqinit(pos, db);
	r = cdb_seqnext(pos, db);
	if (r != 1)
		return r == 0 ? 0 : -1;
	*key = cdb_getkey(db);
	*keylen = cdb_keylen(db);
	*value = cdb_getdata(db);
	*len = cdb_datalen(db);
	return *key && *value ? 1 : -1;
}

int
cdbmaker_open(struct cdbmaker *m, char const *file, int mode)
{
	size_t n = strlen(file) + 32;

	m->file = strdup(file);
	m->tmp = malloc(n);
	m->make = malloc(sizeof(struct cdb_make));
	m->fd = -1;
	if (m->file && m->tmp && m->make) {
		snprintf(m->tmp, n, "%s.tmp.%lu", file,
		    (unsigned long)getpid());
		unlink(m->tmp);	/* of a process killed long ago */
		m->fd = open(m->tmp,
		    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (m->fd == -1 || fchmod(m->fd, mode) == -1 ||
	    cdb_make_start(m->make, m->fd) == -1) {
		cdbmaker_abort(m);
		return -1;
	}
	return 1;
}

int
cdbmaker_add(struct cdbmaker *m, char const *key, size_t keylen,
    char const *value, size_t len)
{
	if (keylen > UINT_MAX || len > UINT_MAX)
		errno = EOVERFLOW;
	else if (cdb_make_add(m->make, key, keylen, value, len) != -1)
		return 1;
	cdbmaker_abort(m);
	return -1;
}

int
cdbmaker_commit(struct cdbmaker *m)
{
	/* cdb_make_finish frees its tables also when it fails */
	int done = cdb_make_finish(m->make) != -1;

	free(m->make);
	m->make = 0;
	if (!done || fsync(m->fd) == -1 || rename(m->tmp, m->file) == -1) {
		cdbmaker_abort(m);
		return -1;
	}
	close(m->fd);
	m->fd = -1;
	free(m->tmp);
	free(m->file);
	m->tmp = m->file = 0;
	return 1;
}

void
cdbmaker_abort(struct cdbmaker *m)
{
	int e = errno;

	if (m->fd != -1) {
		unlink(m->tmp);
		close(m->fd);
	}
	free(m->make);
	free(m->tmp);
	free(m->file);
	m->make = 0;
	m->tmp = m->file = 0;
	m->fd = -1;
	errno = e;
}
