/* login: the authorization state of POP3 (RFC 1939 4, RFC 2449, 2595, 5034):
 * from the greeting to a login and a password.
 *
 * It must not read behind the line with the password, nor behind STLS: what
 * follows is for somebody else.  io->recv sees to that, by never giving more
 * than a line.
 */
#ifndef LOGIN_POP3_H
#define LOGIN_POP3_H

#include <stddef.h>

#include "lib/io.h"
#include "lib/limits.h"

struct pop3login {
	char const *stamp;	/* "<pid.time@host>", the third field */
	int apop;		/* the greeting shows the stamp */
	int allowed;		/* may a password be sent over this line? */
	unsigned int delay;	/* seconds between logins, for CAPA; 0: none */
	unsigned int timeout;	/* seconds for all of it */
	/* Answers STLS, encrypts the connection, and points io at the clear
	 * side.  1; 0 refused, the client has been told; -1 it is over.
	 * Null where there is no TLS, or already is.
	 */
	int (*start_tls)(struct pop3login *, io *);
	/* login NUL password NUL stamp NUL, for a checkpassword program; with
	 * APOP the digest stands for the password */
	char record[LIMIT_LOGIN];
	size_t used;
};

/* Talks until there is a record.
 *  1  l->record is complete; nothing has been answered to the password
 *  0  QUIT, the end of input, or too many mistakes
 * -1  errno: timeout or network trouble
 */
extern int login_run(io *, struct pop3login *l);

#endif
