/* dial: a TCP connection to an address. */
#ifndef DIAL_H
#define DIAL_H

#include "lib/ipaddr.h"

/* Within so many seconds; from is the local address, or null.  The
 * descriptor, non-blocking and close-on-exec, without delays for small
 * writes; or -1 with errno (ETIMEDOUT).
 */
extern int dial(struct ipaddr const *to, unsigned int port,
    struct ipaddr const *from, unsigned int seconds);

#endif
