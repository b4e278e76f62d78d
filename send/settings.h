/* settings: what send reads from control/, at its start and when an
 * administrator says so.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "send/state.h"

/* Reads the control files; of one that makes no sense the old value stays, or
 * the default, and the log says so.  1, or -1: the tables of routes are not to
 * be had, and the old ones stay.
 */
extern int settings_load(struct send *s);

/* The same while deliveries go on.  What is opened from now on sees the new
 * ones, and so do the jobs that wait.
 */
extern void settings_reload(struct send *s);

#endif
