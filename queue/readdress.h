/* readdress: queuectl change: another address for a recipient that waits.
 * argv: id, old address, new one.  The exit code.
 */
#ifndef READDRESS_H
#define READDRESS_H

#include "queue/tool.h"

extern int readdress(struct tool *t, char const *const *argv);

#endif
