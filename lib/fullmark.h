/* fullmark: which mailboxes are full, for those who may not look into them.
 *
 * local, which counts what a mailbox holds, leaves an empty file
 * users/full/NAME@DOMAIN where less than a hundredth of the quota is left, and
 * takes it away when there is more; "@DOMAIN" is about the whole domain.  The
 * directory is role vmail's, and readable.  A mark is believed for an hour
 * after it was made: whoever removes messages need not know about it.
 *
 * Home is the current directory.  Names are in any case.
 */
#ifndef FULLMARK_H
#define FULLMARK_H

#include <stddef.h>

enum { FULLMARK_BELIEVED = 3600 };	/* seconds */

/* Is the mailbox marked?  name "" asks for the domain.  1, 0, -1. */
extern int fullmark_find(char const *domain, char const *name, size_t n);

/* Makes the mark anew, or takes it away.  1; 0 the names can have none; -1. */
extern int fullmark_set(char const *domain, char const *name, size_t n);
extern int fullmark_clear(char const *domain, char const *name, size_t n);

/* Takes the marks of user@domain and its domain away, whatever name of the
 * domain that is: there is more room than before.  Trouble is nobody's.
 */
extern void fullmark_room(char const *login);

/* Is mail for a full mailbox refused for good?  control/overquota: 552, which
 * is the default: 1; 452: 0; anything else: -1 with errno EINVAL.
 */
extern int fullmark_final(void);

#endif
