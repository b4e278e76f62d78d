/* login: what smtpd's backend asks about users: the checkpassword program
 * whether a password is good, authd how much they have sent.
 */
#ifndef LOGIN_H
#define LOGIN_H

#include "smtpd/backend.h"

/* As backend's login, allow and nonce.
 *
 * The program b->checker gets login, password and challenge on descriptor 3,
 * each with NUL, and nothing of the network.  Exit 0: good; 1, or vchkpw's 3:
 * wrong; all else: not now.  A mailbox here whose flags say so may not relay.
 * $SMTPAUTHUSER is set for the programs that take the message.
 */
extern int login_check(struct backend *b, struct credentials const *c);
extern int login_allow(struct backend *b, stralloc const *user,
    unsigned int n);
extern char const *login_nonce(struct backend *b);

#endif
