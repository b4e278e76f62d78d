/* session: the transaction state of POP3 (RFC 1939 5, RFC 2449): everything
 * between a good password and QUIT.
 */
#ifndef SESSION_POP3_H
#define SESSION_POP3_H

#include "lib/io.h"
#include "pop3d/maildrop.h"

/* Talks until QUIT, the end of input, or too long a silence.
 *  1  QUIT: what was deleted is gone
 *  0  the client went away: nothing is changed
 * -1  errno: timeout or network trouble; nothing is changed
 */
extern int session_run(io *, struct maildrop *, unsigned int timeout);

#endif
