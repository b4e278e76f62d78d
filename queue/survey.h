/* survey: the verbs of queuectl that look and change nothing: list, show,
 * count and status.  argv: what stands behind the verb.  The exit code.
 */
#ifndef SURVEY_H
#define SURVEY_H

#include "queue/tool.h"

extern int survey_list(struct tool *t, char const *const *argv);
extern int survey_show(struct tool *t, char const *const *argv);
extern int survey_count(struct tool *t, char const *const *argv);
extern int survey_status(struct tool *t, char const *const *argv);

#endif
