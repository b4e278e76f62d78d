/* sizes: what messages without ",W=" in their names have as octets, so that
 * each is read once and not at every login.
 *
 * Maildir/pop3sizes, a line for each: "SIZE NAME", NAME up to the flags, in
 * the order of the maildrop.  A Maildir's files never change, so neither do
 * their sizes.  It may be removed at any time; lines out of order are not
 * found, and that is all.
 */
#ifndef SIZES_H
#define SIZES_H

#include "pop3d/maildrop.h"

/* Fills in the sizes that are known there. */
extern void sizes_load(struct maildrop *d);

/* Writes all sizes that are known but stand in no name, of the messages that
 * are not deleted.  1, or -1 with errno.
 */
extern int sizes_save(struct maildrop const *d);

#endif
