/* dotqmail: the language of .qmail files: postern-qmail(5). */
#ifndef LOCAL_DOTQMAIL_H
#define LOCAL_DOTQMAIL_H

#include <stddef.h>

#include <skalibs/stralloc.h>

enum dotqmail_kind {
	DOTQMAIL_BLANK, DOTQMAIL_COMMENT, DOTQMAIL_MAILDIR, DOTQMAIL_MBOX,
	DOTQMAIL_PROGRAM, DOTQMAIL_FORWARD, DOTQMAIL_LIST, DOTQMAIL_OTHER
};

struct dotqmail_line {
	enum dotqmail_kind kind;
	char const *text;	/* without mark and trailing blanks */
	size_t n;
};

/* The next line of file, which *pos counts through; cuts it off in place with
 * a NUL.  The file's last byte is a LF.  1; 0 at the end.
 */
extern int dotqmail_next(stralloc *file, size_t *pos,
    struct dotqmail_line *out);

/* The name of the file to try as number *i (from 0, which moves on): first
 * .qmail, dash and ext, then each shorter "default" one.  1 with *from the
 * offset in ext of what "default" stands for, or -1 if the name does not end
 * so; 0 there are no more; -1 out of memory.  Dots and slashes of ext become
 * colons: no ext leads out of the directory.
 */
extern int dotqmail_candidate(char const *dash, char const *ext, size_t *i,
    stralloc *name, long *from);

/* Is it "| DIR/vdelivermail '' WORD", where a domain's mailboxes begin?
 * 1 with *word and *n; 0.
 */
extern int dotqmail_mailboxes(struct dotqmail_line const *line,
    char const **word, size_t *n);

#endif
