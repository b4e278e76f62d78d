/* simcontrol: simscan's settings per domain and user, as rules of ours. */
#ifndef SIMCONTROL_H
#define SIMCONTROL_H

#include <stddef.h>

/* Writes rules for the text of a simcontrol file to descriptor 1, and
 * warnings of what it means other than its author may have thought, or has
 * no equal here, to descriptor 2.  1, -1.
 */
extern int simcontrol_import(char const *file, char const *s, size_t n);

#endif
