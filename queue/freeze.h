/* freeze: the verbs of queuectl about domains to which nothing is sent now:
 * freeze, thaw and frozen.  argv: what stands behind the verb.  The exit code.
 */
#ifndef FREEZE_H
#define FREEZE_H

#include "queue/tool.h"

extern int freeze(struct tool *t, char const *const *argv);
extern int freeze_thaw(struct tool *t, char const *const *argv);
extern int freeze_list(struct tool *t, char const *const *argv);

#endif
