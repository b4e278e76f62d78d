/* rulesfile: access rules whose file may be replaced at any moment.  The map
 * is kept from one client to the next as long as the path leads to the very
 * same, unchanged file: an edit is live at once, and costs one stat.
 */
#ifndef RULESFILE_H
#define RULESFILE_H

#include <sys/stat.h>

#include "lib/cdbfile.h"

struct rulesfile {
	char const *path;	/* 0: no rules are wanted */
	struct cdbfile cdb;
	struct stat was;
};

/* 1 open and fresh; 0 no such file, nothing open; -1 with errno. */
extern int rulesfile_refresh(struct rulesfile *f);

#endif
