/* vpasswd: vpopmail's file of the users of one domain, and its cdb.
 *
 *	name:hash:uid:flags:gecos:dir:quota[:clear]
 *
 * uid is vpopmail's own affair (1: an account, 2: an APOP account); flags is
 * the mask of lib/mailbox.h; hash is crypt(3)'s; dir is the user's directory,
 * with a slash in front.  vpasswd.cdb has the name as key and all behind the
 * first colon as value.  Lines are sorted by name.
 */
#ifndef VPASSWD_H
#define VPASSWD_H

#include <stddef.h>

#include <skalibs/stralloc.h>

struct vpasswd {
	char const *name;	/* all strings NUL-terminated, in sa */
	char const *hash;
	unsigned long uid;
	unsigned long flags;
	char const *gecos;
	char const *dir;
	char const *quota;
	char const *clear;	/* "" where the line has none */
	stralloc sa;
};
#define VPASSWD_ZERO { .sa = STRALLOC_ZERO }

/* Takes one line apart, without its LF.  1 *out filled in (free out->sa when
 * done; it may be used again); 0 malformed; -1 out of memory.
 */
extern int vpasswd_parse(char const *line, size_t n, struct vpasswd *out);

/* Appends the line with its LF.  1; 0: a field holds a colon, LF or NUL, or
 * the name is empty; -1 out of memory.
 */
extern int vpasswd_format(stralloc *out, struct vpasswd const *p);

/* Cuts the next line, LF excluded, off s[*pos..n).  1; 0 at the end. */
extern int vpasswd_line(char const *s, size_t n, size_t *pos,
    char const **line, size_t *len);

/* The name that a line begins with, up to the colon; its length. */
extern size_t vpasswd_name(char const *line, size_t n);

/* The user's directory below the domain's, which path is: vpasswd has it in
 * full.
 */
extern char const *vpasswd_below(struct vpasswd const *p, char const *path);

/* Looks a name (in lower case) up in dir/vpasswd.cdb; where there is none, in
 * dir/vpasswd itself.
 *  1  found; 0 no such user, or neither file (*exists, if not null, says
 *     whether there was one); -1 with errno (EPROTO: damaged)
 */
extern int vpasswd_find(char const *dir, char const *name, size_t n,
    struct vpasswd *out, int *exists);

#endif
