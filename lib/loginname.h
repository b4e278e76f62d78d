/* loginname: what a login name is an abbreviation of.
 *
 * "user@domain", "user%domain", or "user" alone in control/defaultvdomain;
 * in lower case.  Home is the current directory.
 */
#ifndef LOGINNAME_H
#define LOGINNAME_H

#include <stddef.h>

#include <skalibs/stralloc.h>

/* *out is user@domain, or user alone where there is no default domain.
 * 1 with *at the offset of the '@', or the length; -1 with errno.
 */
extern int loginname(char const *s, size_t n, stralloc *out, size_t *at);

#endif
