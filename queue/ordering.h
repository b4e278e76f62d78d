/* ordering: the verbs of queuectl that give send orders about the messages
 * that were chosen: hold, release, retry, delete and bounce.  argv: what stands
 * behind the verb.  A line to standard output for each message.  The exit code.
 */
#ifndef ORDERING_H
#define ORDERING_H

#include "queue/tool.h"

extern int ordering_hold(struct tool *t, char const *const *argv);
extern int ordering_release(struct tool *t, char const *const *argv);
extern int ordering_retry(struct tool *t, char const *const *argv);
extern int ordering_delete(struct tool *t, char const *const *argv);
extern int ordering_bounce(struct tool *t, char const *const *argv);

/* Tries what the choice says, with send there to be asked. */
extern int ordering_try(struct tool *t);

#endif
