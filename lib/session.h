/* session: the id that all log lines of one connection share.
 *
 * listen makes one for each connection and exports it as $POSTERN_SESSION;
 * every program behind it logs it, and the queue keeps it with the message.
 * It is the time in hexadecimal, a dash, and a process id: "6921e3a5-1f3a".
 */
#ifndef SESSION_H
#define SESSION_H

#include <stddef.h>

enum { SESSION_LEN = 40 };	/* room for an id and its NUL */

/* $POSTERN_SESSION if it is set and well-formed ([0-9a-z.-], not too long);
 * else an id made on the first call, also put into the environment.
 */
extern char const *session_id(void);

#endif
