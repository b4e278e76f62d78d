/* domainlist: where the suite's control files name a virtual domain, as
 * vpopmail keeps them: users/assign, control/virtualdomains "d:d",
 * control/rcpthosts up to 50 entries and control/morercpthosts beyond, and not
 * in control/locals.
 */
#ifndef DOMAINLIST_H
#define DOMAINLIST_H

#include "users/vdomain.h"

/* Under that name, its own or an alias domain's.  Mail for it is accepted
 * last.  1; -1 with errno, and all is as it was.
 */
extern int domainlist_add(struct vdomain const *d, char const *domain);

/* Compiles control/morercpthosts.  1, -1. */
extern int domainlist_compile(void);

/* Takes it out wherever it is.  1; -1 with errno, and all is as it was. */
extern int domainlist_remove(char const *domain);

#endif
