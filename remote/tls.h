/* tls: what is asked of a connection to a server, by its route, DNS (RFC 7672)
 * and MTA-STS (RFC 8461); and tlsconnect(8), which speaks it.
 */
#ifndef REMOTE_TLS_H
#define REMOTE_TLS_H

#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "lib/io.h"
#include "lib/smtproutes.h"
#include "remote/hosts.h"
#include "remote/report.h"

enum tls_level { TLS_NO, TLS_MAY, TLS_MUST };

struct tls {
	enum tls_level level;
	int at_once;		/* before the greeting */
	int verify;		/* by the authorities that this host trusts */
	char const *server;	/* its name; "": an address alone */
	stralloc name;		/* one its certificate must have; each NUL */
	stralloc tlsa;		/* records as dnsq(1) has them, each with NUL */
	char const *why;	/* it must: in words for a report */
};
#define TLS_ZERO { TLS_NO, 0, 0, "", STRALLOC_ZERO, STRALLOC_ZERO, "" }

enum { TLS_RESULT = 160 };

/* Does the route ask what DNS says? */
extern int tls_asks_dane(struct smtproute const *route);

/* Whom it is asked of. */
struct tls_peer {
	struct smtproute const *route;
	struct host_name const *host;
	char const *address;	/* of the host, as text */
	char const *domain;	/* whose mail it takes */
	int loopback;		/* it is this host itself */
	int sts;		/* MTA-STS: a certificate in its name */
};

/* 1; 0 it cannot be used, p says why. */
extern int tls_wish(struct tls *t, struct tls_peer const *peer,
    struct report *p);

/* Gives the connection to tlsconnect: the descriptor of its clear side, with
 * the pid of the process in *pid; -1.  fd is left open.
 */
extern int tls_start(struct tls const *t, int fd, unsigned int seconds,
    pid_t *pid);

/* Its first line, within i's deadline: 1 encrypted, and result says how; 0 not,
 * and it says why.
 */
extern int tls_result(io *i, char result[TLS_RESULT]);

#endif
