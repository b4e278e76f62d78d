/* import: take over a qmail installation.  What its parts share.
 *
 * The source is below one directory: no symbolic link in it leads out of
 * there.  It is only read.  What is carried over is remembered below
 * users/imported, so that another run leaves alone what has been changed or
 * removed here since.
 */
#ifndef IMPORT_H
#define IMPORT_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "lib/role.h"

struct import {
	int dry;		/* say what would be done, do nothing */
	int root;		/* of the source, open */
	char const *qmail, *vpopmail;	/* below it */
	char home[4096];	/* our own, absolute */
	unsigned long missed;
};
extern struct import import;

/* A line on standard output: what was carried over; what is left as it is
 * here; what could not be carried over (counted).  Strings up to a null
 * pointer.
 */
extern void import_say(char const *what, ...);
#define import_done(...) import_say("carried over: ", __VA_ARGS__, (char *)0)
#define import_kept(...) import_say("kept: ", __VA_ARGS__, (char *)0)
#define import_miss(...) \
	import_say("not carried over: ", __VA_ARGS__, (char *)0)
/* The same with errno's text. */
extern void import_trouble(char const *path);

/* Opens a path below the source's root.  A descriptor, or -1. */
extern int import_open(char const *path, int flags);
/* Appends a regular file, of 64 MiB at most.  1; 0 there is none; -1 said. */
extern int import_slurp(char const *path, stralloc *out);
extern int import_slurp_at(int dir, char const *name, char const *path,
    stralloc *out);

/* What was carried over in former runs: a file of lines, by name. */
struct record {
	char path[300];
	stralloc text, fresh;
	char **line;		/* sorted, into text */
	size_t n;
};
extern void record_open(struct record *r, char const *name);
/* The lines of r->text are found from now on; it ends in a NUL. */
extern void record_sort(struct record *r);
extern int record_has(struct record const *r, char const *s, size_t n);
/* Has it a line that begins so? */
extern int record_begins(struct record const *r, char const *s, size_t n);
extern void record_add(struct record *r, char const *s, size_t n);
extern void record_close(struct record *r);	/* writes it */

/* Puts those lines of text that the file has not, and that were not carried
 * over before, into it.  fit changes a line in place, or says 0: leave it
 * out.
 */
extern void import_lines(stralloc const *text, char const *file,
    int (*fit)(stralloc *line));

/* Old paths in a .qmail line become ours; programs that are not ours are
 * named.  where: for the message.
 */
extern void import_instructions(stralloc const *from, stralloc *to,
    char const *where);

/* A file of ours that is not there yet.  1 written (or would be); 0 kept. */
extern int import_file(int dir, char const *name, char const *where,
    stralloc const *text, struct role const *owner, int mode);

/* Makes a directory, if need be.  1, -1. */
extern int import_directory(int at, char const *name,
    struct role const *owner);

/* The mail below from (a Maildir of the source) into to. */
extern void import_mail(int from, char const *frompath, int to,
    char const *address, struct role const *owner);

/* One virtual domain: its directory, its users, its mail. */
extern void import_domain(char const *domain, char const *dir);

extern void import_die(char const *what, char const *name);

#endif
