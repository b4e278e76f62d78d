/* textfile: change one line of a small text file at one stroke. */
#ifndef TEXTFILE_H
#define TEXTFILE_H

#include <stddef.h>
#include <sys/types.h>

/* Who owns a new file. */
struct textfile_owner {
	uid_t uid;
	gid_t gid;
	int mode;
};

/* Puts a file in place of "file", durably.  1, -1 with errno. */
extern int textfile_write(char const *file, char const *s, size_t n,
    struct textfile_owner const *o);

struct textfile_edit {
	char const *drop;	/* lines that are this, or 0 */
	char const *drop_prefix; /* lines that begin so, or 0 */
	char const *drop_second; /* lines whose second field is this, or 0 */
	char const *add;	/* this line, if it is not there; or 0 */
	int sorted;		/* into its place; before a last line "." */
};

/* Edits a file of root's, mode 0644; one that is not there is empty.  Case of
 * letters and blanks at the end of a line are ignored.  1 changed; 0 it was so
 * already; -1 with errno.
 */
extern int textfile_edit(char const *file, struct textfile_edit const *e);

/* A change of several files: each is kept before it, under a second name,
 * "FILE.old".  Then the change is good, or all are put back, and what was not
 * there is taken away; that needs no room on the disk.  keep: 1, -1.
 */
extern int textfile_keep(char const *file);
extern void textfile_end(char const *file, int good);

/* How many lines, blank ones and comments apart; -1. */
extern int textfile_count(char const *file);

#endif
