/* login: the authorization state of POP3 (RFC 1939 4, RFC 2449): from the
 * greeting to a login and a password.
 *
 * It must not read behind the line with the password: what follows is for the
 * program after us.  io->recv sees to that, by never giving more than a line.
 */
#ifndef LOGIN_POP3_H
#define LOGIN_POP3_H

#include <stddef.h>

#include "lib/io.h"
#include "lib/limits.h"

struct pop3login {
	char const *stamp;	/* "<pid.time@host>", the third field */
	int allowed;		/* may a password be sent over this line? */
	/* login NUL password NUL stamp NUL, for a checkpassword program */
	char record[LIMIT_LOGIN];
	size_t used;
};

/* Talks until there is a record.
 *  1  l->record is complete; nothing has been answered to PASS
 *  0  QUIT, the end of input, or too many mistakes
 * -1  errno: timeout or network trouble
 */
extern int login_run(io *, struct pop3login *l, unsigned int timeout);

#endif
