/* protocol: between dkimsign and dkimd, over socket/dkim/dkimd (lib/packet.h).
 * Any number of questions on a connection, each answered by one record:
 *
 *	K domain                        which keys sign for it?
 *	  K {letter selector NUL}       these; none: none
 *	  R                             not for this user
 *	S letter selector NUL domain NUL digest
 *	  S signature                   of these PROTOCOL_DIGEST bytes
 *	  R                             not for this user; no such key
 *
 * letter: PROTOCOL_RSA (rsa-sha256, RFC 6376 3.3.1) or PROTOCOL_ED25519
 * (ed25519-sha256, RFC 8463).  digest is the SHA-256 hash of what is signed.
 * Whatever else is asked ends the connection.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#define PROTOCOL_SOCKET "socket/dkim/dkimd"

enum {
	PROTOCOL_DIGEST = 32,
	PROTOCOL_DOMAIN = 253,		/* RFC 1035 3.1, as text */
	PROTOCOL_SELECTOR = 63,
	PROTOCOL_KEYS = 4,		/* of one domain, in use */
	PROTOCOL_SIGNATURE = 512,	/* RSA with 4096 bits */
	PROTOCOL_QUESTION = 512,	/* the longest of either kind */
	PROTOCOL_ANSWER = 1 + PROTOCOL_SIGNATURE
};

enum { PROTOCOL_RSA = 'r', PROTOCOL_ED25519 = 'e' };

#endif
