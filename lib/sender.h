/* sender: may a user who has logged in write in that name? */
#ifndef SENDER_H
#define SENDER_H

#include <skalibs/stralloc.h>

/* Everybody may as himself, under his domain's other names too, and without
 * a name (reports have none).  Beyond that the lines USER:SENDER of
 * control/usersenders say who may, each of the two an address, @domain, or *.
 * A user without a domain may as user@ what control/me says.
 * 1, 0, -1 with errno.
 */
extern int sender_owned(stralloc const *list, stralloc const *user,
    stralloc const *sender);

/* And in the name of that domain: is it his own, or is any address of it his?
 * 1, 0, -1.
 */
extern int sender_domain(stralloc const *list, stralloc const *user,
    char const *domain, size_t n);

#endif
