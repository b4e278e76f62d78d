/* server: an SMTP server at the other end of a connection, up to the point
 * where it takes mail: greeting, EHLO or HELO, STARTTLS, AUTH.
 *
 * Its conversation goes through io, so that tests and fuzzers hold it in
 * memory; early says, without waiting, whether it has said something.
 */
#ifndef REMOTE_SERVER_H
#define REMOTE_SERVER_H

#include <stdint.h>

#include "lib/io.h"
#include "lib/ipaddr.h"
#include "lib/smtproutes.h"
#include "remote/reply.h"
#include "remote/report.h"
#include "remote/tls.h"

enum {				/* what it offers */
	SERVER_PIPELINING = 1,
	SERVER_SIZE = 2,
	SERVER_8BITMIME = 4,
	SERVER_STARTTLS = 8,
	SERVER_PLAIN = 16, SERVER_LOGIN = 32 /* AUTH */
};

struct server {
	io io;
	int (*early)(struct server *s);
	/* puts TLS under io: 1; 0 the connection is useless, *p says why */
	int (*encrypt)(struct server *s, struct report *p);
	struct tls const *tls;	/* what is asked for */
	int tls_failed;
	char how[TLS_RESULT + 40]; /* it is encrypted, or why not; or "" */
	char name[IPADDR_FMT];	/* its address, for reports */
	unsigned int patience;	/* seconds that one reply may take */
	uint64_t until;		/* when our patience ends altogether */
	int secure;		/* by TLS; or to this host itself */
	unsigned int offers;
	uint64_t size;		/* 0: no limit known */
	struct reply reply;
	int broke;		/* errno of what ended it; 0: it did itself */
};

/* Starts the clock of whatever the server is to do next; of everything, for
 * so many seconds.
 */
extern void server_patience(struct server *s);
extern void server_limit(struct server *s, uint64_t seconds);

/* Sends one line, without its CR LF; does not wait.  1, -1. */
extern int server_command(struct server *s, char const *line);

/* The next reply: 1; -1 there is none, and the connection is useless. */
extern int server_reply(struct server *s);

/* From the greeting to where it takes mail.
 *  1  ready
 *  0  not ready, the report says why; another host may do
 * -1  the same, and no other host should be tried
 */
extern int server_ready(struct server *s, char const *helo,
    struct smtproute const *route, struct report *p);

/* "Connected to IP but ...": a report, with the server's reply. */
extern void server_refused(struct server *s, struct report *p, char letter,
    char const *what);
/* "Connected to IP but connection died", and why; critical: maybe it has the
 * message.
 */
extern void server_died(struct server *s, struct report *p, int critical);

#endif
