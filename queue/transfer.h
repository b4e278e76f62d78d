/* transfer: export and import of queuectl: from queue to queue by a stream.
 * argv: what stands behind the verb.  The exit code.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "queue/tool.h"

extern int transfer_export(struct tool *t, char const *const *argv);
extern int transfer_import(struct tool *t, char const *const *argv);

#endif
