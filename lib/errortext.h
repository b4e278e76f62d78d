/* errortext: how a QMAILQUEUE program says no, in words of its own, to the one
 * that gave it the message.
 *
 * There are three conventions, and no caller knows them all: the descriptor
 * that $ERROR_FD names; 4 and 6, if these are one pipe, as in this suite; and
 * 4 or 6, which control/errorfd has to name.  Then the exit code is 82.
 */
#ifndef ERRORTEXT_H
#define ERRORTEXT_H

#include <stddef.h>

/* Says text, "D..." for good or "Z..." for now, and returns the exit code that
 * goes with it; plain if our caller understands none of the three.  *how
 * names the convention, for the log.  Home is the current directory.
 */
extern int errortext_say(char const *text, size_t n, int plain,
    char const **how);

#endif
