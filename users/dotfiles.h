/* dotfiles: the names of the .qmail files in a user's home directory, read
 * with that user's rights: root looks into nobody's home.
 */
#ifndef USERS_DOTFILES_H
#define USERS_DOTFILES_H

#include <sys/types.h>

#include <skalibs/stralloc.h>

/* Into out: what follows ".qmail" in each name, in lower case by nature (a
 * name with an upper-case letter is never looked for), colons turned to dots;
 * each with a NUL.  1; 0 not all of them, or none, because of trouble there,
 * of which a warning tells; -1 trouble of our own, with errno.
 */
extern int dotfiles_list(char const *home, uid_t uid, gid_t gid,
    stralloc *out);

/* There are no more: the process that has listed the last ones ends. */
extern void dotfiles_end(void);

#endif
