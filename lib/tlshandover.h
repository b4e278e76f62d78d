/* tlshandover: how tlsrun gives a connection to tlsd: one record over a
 * SOCK_SEQPACKET socket, with three descriptors.
 *
 *	session NUL remote address NUL
 *
 * The descriptors, in this order: our end of the control socket, on which the
 * program will ask for TLS; the connection to the client; our end of the
 * socket for what is clear.  Nothing is answered: a server that does not want
 * the connection closes them, and that is what the program sees.
 */
#ifndef TLSHANDOVER_H
#define TLSHANDOVER_H

#define TLSHANDOVER_SOCKET "socket/tls/tlsd"

enum { TLSHANDOVER_TEXT = 64 };	/* room for each field and its NUL */

struct tlshandover {
	int control, net, clear;
	char session[TLSHANDOVER_TEXT];	/* printable or not: escape it */
	char remote[TLSHANDOVER_TEXT];
};

/* Connects to that path and sends, without waiting for anybody.  The
 * descriptors stay open.  1, or -1 with errno: EAGAIN if there is no room.
 */
extern int tlshandover_send(char const *path, struct tlshandover const *h);

/* What has arrived on a connected socket; the descriptors are close-on-exec.
 * 1; 0: nothing yet; -1: nothing fit to use, and nothing to close.
 */
extern int tlshandover_receive(int sock, struct tlshandover *h);

#endif
