/* removetree: remove a directory that somebody else owns, with all in it.
 * Never through a symbolic link, whatever its owner does meanwhile.
 */
#ifndef REMOVETREE_H
#define REMOVETREE_H

/* 1, also if there is nothing of that name; -1 with errno. */
extern int removetree(int at, char const *name);

#endif
