#include "rules/rulesfile.h"

#include <errno.h>

static int
same(struct stat const *a, struct stat const *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The file may change between stat and open: the older stat is kept, so that
 * the next call opens again. */
int
rulesfile_refresh(struct rulesfile *f)
{
	struct stat now;
	int r;

	if (stat(f->path, &now) == -1) {
		r = errno == ENOENT ? 0 : -1;
		cdbfile_close(&f->cdb);
		return r;
	}
	if (f->cdb.db && same(&f->was, &now))
		return 1;
	cdbfile_close(&f->cdb);
	r = cdbfile_open(&f->cdb, f->path);
	f->was = now;
	return r;
}
