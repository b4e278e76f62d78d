/* vdomain: one virtual domain as the tools change it: its directory, vpasswd
 * and vpasswd.cdb in it (the user of role auth's, mode 0600), and what the
 * world may know of it, users/mailbox/DOMAIN.cdb.
 *
 * Home is the current directory, the caller root and holder of users/lock.
 * Nothing below domains/ is root's: no symbolic link is followed there.
 */
#ifndef VDOMAIN_H
#define VDOMAIN_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "lib/role.h"
#include "lib/vpasswd.h"
#include "users/limits.h"

enum { VDOMAIN_FILE = 1048576 };	/* as local has it for .qmail files */

struct vdomain {
	stralloc name;		/* the real one, of an alias too; with NUL */
	stralloc path;		/* absolute, with NUL */
	struct role auth, vmail;
	int home, dir;		/* descriptors */
	stralloc vpasswd;	/* as it is in the file */
	struct limits limits;	/* of .qmailadmin-limits, or the default */
	int no_cdb;		/* leave the tables for later */
};
#define VDOMAIN_ZERO { STRALLOC_ZERO, STRALLOC_ZERO, { 0, 0 }, { 0, 0 }, \
	-1, -1, STRALLOC_ZERO, LIMITS_NONE, 0 }

/* Opens the domain, and reads its vpasswd.  1; 0 no such domain; -1 with
 * errno.
 */
extern int vdomain_open(struct vdomain *d, char const *domain);

/* Makes domains/.new.DOMAIN and opens it; vdomain_publish moves it to its
 * name.  1; -1 with errno.  vdomain_remove takes away whichever is there, and
 * the mailbox table: 1, -1.
 */
extern int vdomain_create(struct vdomain *d, char const *domain);
extern int vdomain_publish(struct vdomain *d);
/* Opens one that nobody names yet: published, and then killed.  1, 0, -1. */
extern int vdomain_adopt(struct vdomain *d, char const *domain);
extern int vdomain_remove(char const *domain);

/* The user of that name.  1; 0 none; -1 with errno (EPROTO: damaged). */
extern int vdomain_user(struct vdomain const *d, char const *name,
    struct vpasswd *out);

/* Puts p in the place of the line of that name, or adds it; p null: takes it
 * out.  Then everything is written.  1; 0: a field of p has a forbidden byte;
 * -1 with errno.
 */
extern int vdomain_set(struct vdomain *d, char const *name,
    struct vpasswd const *p);

/* The same with a whole new vpasswd, which *text is; *text has the old one
 * afterwards.  1, -1.
 */
extern int vdomain_put(struct vdomain *d, stralloc *text);

/* A change of one file of the domain and of the tables that are made of it:
 * vdomain_begin before anything is written, and then vdomain_end, which takes
 * everything back unless r, what came of the change, is 1; it returns r, and
 * leaves errno.  Taking back needs no room on the disk.
 */
extern int vdomain_begin(struct vdomain const *d, char const *file);
extern int vdomain_end(struct vdomain const *d, char const *file, int r);

/* Removes what tools that were killed have left in the directory. */
extern void vdomain_sweep(struct vdomain const *d);

/* What is made of vpasswd and the .qmail files, vpasswd.cdb and the mailbox
 * table, is made anew.  1, -1.
 */
extern int vdomain_tables(struct vdomain *d);
/* Is the table older than what it is made of, since a tool was killed or
 * somebody edited?  Only the domain's own directory is looked at.  1, 0, -1.
 */
extern int vdomain_stale(struct vdomain const *d);
/* Says that it is not: the last change has no part in the tables. */
extern int vdomain_settled(struct vdomain const *d);

/* The directory of a user, with an empty Maildir in it.  1, -1 (EEXIST). */
extern int vdomain_make_user(struct vdomain *d, char const *name);
/* The directory that holds that of the user, and the user's name there, which
 * is a part of *p.  A descriptor; -1 (EINVAL: no directory below the domain's).
 */
extern int vdomain_place(struct vdomain const *d, struct vpasswd const *p,
    char const **name);
/* Removes the user's directory; one that is gone already is no error.  1, -1 */
extern int vdomain_remove_user(struct vdomain const *d,
    struct vpasswd const *p);
/* Is it the directory of somebody who is gone: of no user, and nobody's lies
 * in it?
 */
extern int vdomain_is_left(struct vdomain const *d, char const *name);

/* A small file of the domain: .qmail-default.  1, -1. */
extern int vdomain_write(struct vdomain *d, char const *file, char const *s,
    size_t n);
/* Appends what is in it to *out.  1; 0 there is none; -1 (EFBIG: more than
 * VDOMAIN_FILE bytes; ELOOP: a symbolic link).
 */
extern int vdomain_read(struct vdomain const *d, char const *file,
    stralloc *out);

extern int vdomain_unlink(struct vdomain *d, char const *file); /* 1, -1 */

/* Makes .usage, where local counts what the domain holds, if the limits give
 * it a quota.  1, -1.
 */
extern int vdomain_usage(struct vdomain *d);

/* Closes and frees. */
extern void vdomain_close(struct vdomain *d);

#endif
