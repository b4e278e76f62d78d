/* program: a |command line of a .qmail file. */
#ifndef LOCAL_PROGRAM_H
#define LOCAL_PROGRAM_H

#include "local/delivery.h"

/* Runs it with /bin/sh -c, the message on descriptor 0.
 *  1  go on
 *  0  it said 99: leave the other lines out
 * -1  d->outcome is set
 */
extern int program_run(struct delivery *d, char const *command);

#endif
