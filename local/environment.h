/* environment: the variables that commands see: postern-qmail(5). */
#ifndef LOCAL_ENVIRONMENT_H
#define LOCAL_ENVIRONMENT_H

#include "local/delivery.h"

/* Appends NAME=value NUL for each; a name alone where one is not set. 1, -1 */
extern int environment_of(struct delivery const *d, stralloc *out);

#endif
