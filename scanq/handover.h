/* handover: the program that takes the message next. */
#ifndef HANDOVER_H
#define HANDOVER_H

#include <stddef.h>

#include <skalibs/stralloc.h>

/* Which one: $SCANQ_QUEUE; else, in control/queuefilters, the line behind
 * ours; else bin/dkimsign, if lib/signing says so; else bin/queue; else
 * /var/qmail/bin/qmail-queue.  Home is the current directory; a name without
 * a slash is below its bin/.  0; else an exit code.
 */
extern int handover_next(stralloc *program);

/* Runs it; its exit code, or 71 if it was killed.  quiet: what it says on 4
 * and 6 is not for our caller.  Nothing is signed on this way.
 */
extern int handover_run(char const *program, int message,
    stralloc const *envelope, int quiet);

#endif
