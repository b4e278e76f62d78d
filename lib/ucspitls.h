/* ucspitls: the program's side of UCSPI-TLS.  A process outside speaks TLS
 * with the client and passes plain bytes on; $SSLCTLFD, $SSLREADFD and
 * $SSLWRITEFD name the descriptors that lead to it.
 *
 * Without these, $TLSD, the socket of tlsd(8), offers the same: tlsd is given
 * the connection when TLS is asked for, and hears nothing of all others.
 */
#ifndef UCSPITLS_H
#define UCSPITLS_H

struct ucspitls {
	int control, read, write;
	char const *tlsd;	/* ask there first; 0: all is there */
};

/* Is that on offer?  The descriptors are closed on exec from now on, and the
 * variables taken away.  1, 0.
 */
extern int ucspitls_offered(struct ucspitls *t);

/* Is somebody there who would do it?  To be asked before the client is told to
 * begin.  1, or -1 with errno.
 */
extern int ucspitls_ready(struct ucspitls *t);

/* Asks for it, after that: what is written to descriptor 1 before has been
 * sent, and what was read from 0 and is not consumed must be thrown away.  0
 * and 1 are the clear side of the encrypted connection afterwards, and the
 * environment has $SSL_PROTOCOL, $SSL_CIPHER and what else was said of it.
 *  1  done
 *  0  there was no handshake; the connection is of no further use
 * -1  the same, with errno (ETIMEDOUT after so many seconds; EPROTO)
 */
extern int ucspitls_start(struct ucspitls *t, unsigned int seconds);

#endif
