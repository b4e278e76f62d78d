/* filter: what QMAILQUEUE programs that stand in a row share.
 *
 * Each takes a message on descriptor 0 and its envelope on 1, and becomes the
 * next one.  Home is the current directory.
 */
#ifndef FILTER_H
#define FILTER_H

#include <skalibs/stralloc.h>

/* The program behind self: $variable, if it is set; else, in
 * control/queuefilters, the line behind the one that names self.  A name
 * without a slash is below bin/.
 *  1  *program, NUL-terminated
 *  0  nobody says; *listed: self is the last line of control/queuefilters
 * -1  trouble
 */
extern int filter_next(char const *self, char const *variable,
    stralloc *program, int *listed);

/* *program = that of a name as above.  1, -1. */
extern int filter_name(stralloc *program, char const *name);

/* Becomes that program, with descriptors 0 and 1 as they are; or with this
 * message and envelope on them.  Returns an exit code if it cannot.
 */
extern int filter_run(char const *program);
extern int filter_exec(char const *program, int message,
    stralloc const *envelope);

#endif
