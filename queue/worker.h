/* worker: one of queued's processes, and its clients. */
#ifndef WORKER_H
#define WORKER_H

#include "queue/store.h"

/* Reads the settings; again at SIGHUP.  The current directory is the home.
 * 1; -1 with errno, and *file is what cannot be read.
 */
extern int settings_read(struct settings *s, char const **file);

/* Serves until SIGTERM, then finishes what is in hand.  Descriptor listener
 * is shared with the other workers, home is where SIGHUP's settings are.
 * SIGTERM and SIGHUP are blocked.  The exit code.
 */
extern int worker_run(struct store *st, int listener, int home);

#endif
