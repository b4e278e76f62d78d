/* smtproutes: which host takes mail for a domain: control/smtproutes, in
 * qmail-remote(8)'s format, and control/authsenders.
 *
 *	smtproutes    domain:relay[:port][|user|password[|policy]]
 *	authsenders   address:relay[:port][|user|password[|policy]]
 *
 * domain is a name, or ".suffix" for all names below it, or empty for all; the
 * longest one that fits decides, of equals the first.  address is a whole one,
 * or "@domain".  An empty relay means: the domain's own mail exchangers.  An
 * IPv6 address stands in brackets.  policy is words separated by commas:
 *
 *	ipv4, ipv6     use addresses of this family only
 *	ipv4first      try that family first
 *	plaintext      the password may be sent without encryption
 *	send8          send 8-bit bytes also to a host that cannot take them
 *	smtps          TLS from the first byte (always, on port 465)
 *
 * and at most one of these:
 *
 *	notls          no TLS
 *	may            TLS if it can be had, with whatever certificate
 *	encrypt        TLS, with whatever certificate
 *	verify[=NAME]  TLS, and a certificate of a known authority for NAME;
 *	               ".NAME": for a name below it; none: for the host
 *	pin=HEX        TLS, and a certificate, or a key, with this SHA-256
 *	dane           as DNS says (RFC 7672), "may" if it says nothing
 *	dane-only      as DNS says, or not at all
 */
#ifndef SMTPROUTES_H
#define SMTPROUTES_H

#include <stddef.h>

#include <skalibs/stralloc.h>

enum {
	SMTPROUTES_IPV4 = 1,
	SMTPROUTES_IPV6 = 2,
	SMTPROUTES_IPV4FIRST = 4,
	SMTPROUTES_PLAINTEXT = 8,
	SMTPROUTES_SEND8 = 16,
	SMTPROUTES_SMTPS = 32,
	SMTPROUTES_NOTLS = 64,
	SMTPROUTES_MAY = 128,
	SMTPROUTES_ENCRYPT = 256,
	SMTPROUTES_VERIFY = 512,
	SMTPROUTES_PIN = 1024,
	SMTPROUTES_DANE = 2048,
	SMTPROUTES_DANEONLY = 4096,
	SMTPROUTES_TLS = 8192 - 64	/* any of these */
};

enum { SMTPROUTES_PORT = 25, SMTPROUTES_SMTPS_PORT = 465 };

struct smtproute {
	char const *relay;	/* brackets taken away; into the list */
	size_t relay_len;	/* 0: use MX */
	unsigned int port;
	char const *user, *password;
	size_t user_len, password_len;
	unsigned int policy;
	char const *tls;	/* NAME or HEX */
	size_t tls_len;
};

/* Both take a list as control_list makes it.
 *  1  *out stored
 *  0  no line for it; *out is MX, port 25, no policy
 * -1  the line for it is malformed (EINVAL); *out untouched
 */
extern int smtproutes_find(stralloc const *list, char const *host, size_t n,
    struct smtproute *out);
extern int smtproutes_sender(stralloc const *list, char const *sender,
    size_t n, struct smtproute *out);

#endif
