/* children: which of listen's processes serves whom. */
#ifndef CHILDREN_H
#define CHILDREN_H

#include <sys/types.h>

#include "rules/peers.h"

/* Room for so many.  1; -1 out of memory. */
extern int children_init(unsigned int max);

/* No more than max at a time. */
extern void children_add(pid_t pid, struct peers_place const *place);

/* Forgets it.  1 and its place; 0: not a child that serves a client. */
extern int children_remove(pid_t pid, struct peers_place *place);

#endif
