/* conn: one connection in the hands of tlsd, from its offer to its end.
 *
 *	state      ends when
 *	GREETS     the record with the descriptors is there
 *	OFFERED    the program asks, or has gone without asking
 *	SHAKES     it has succeeded or failed, or takes too long
 *	OPEN       both directions have ended, or one has failed
 *	LINGERS    the client has closed as well, or has had its time
 *
 * Nothing here waits.  Bytes that cannot be passed on are kept, at most one
 * record in each direction, and nothing more is read until they have gone.
 */
#ifndef CONN_H
#define CONN_H

#include <openssl/ssl.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/tlshandover.h"

enum {				/* milliseconds */
	CONN_GREETING = 10000,
	CONN_FLUSH = 60000,	/* to send what is left of one that ended */
	CONN_LINGER = 3000
};

enum conn_state {
	CONN_GREETS, CONN_OFFERED, CONN_SHAKES, CONN_OPEN, CONN_LINGERS,
	CONN_DEAD
};

struct conn;

/* a descriptor that is watched */
struct end {
	struct conn *conn;
	int fd;			/* -1: closed */
	int watched;
	uint32_t events;	/* which, if it is */
};

/* one direction */
struct half {
	char *left;		/* what could not be passed on; or 0 */
	size_t at, len;		/* which part of it is still to go */
	int ended;		/* nothing more comes */
	int passed;		/* and the other side has been told */
	uint32_t net;		/* events that TLS waits for */
};

struct conn {
	struct conn *next, *before;	/* all of them */
	struct conn *next_more, *next_dead;
	enum conn_state state;
	struct end control, net, clear;
	SSL *tls;
	struct half in, out;		/* from the client, to the client */
	uint64_t due;			/* milliseconds, monotonic */
	unsigned int user;		/* index in conn_room */
	int counted;			/* as a session */
	int answers;			/* the program wants to hear of it */
	int gone;			/* the program has closed its end */
	int more;			/* there is more to do at once */
	int queued;			/* stands in the list of these */
	size_t thrown;			/* while lingering */
	char session[TLSHANDOVER_TEXT];
	char remote[TLSHANDOVER_TEXT];
};

/* How many there may be, and how long; "used" is shared by all processes. */
enum { CONN_SLOTS = 64, CONN_USERS = 16 };
struct conn_room {
	uid_t uid[CONN_USERS];		/* who may hand over */
	unsigned int users;
	unsigned int sessions;		/* most, of all processes */
	unsigned int (*used)[CONN_USERS];	/* by slot and user */
	unsigned int slot;		/* of this process */
	unsigned int offers;		/* most, of this process */
	uint64_t handshake, idle;	/* milliseconds */
};

struct conns {
	int epoll;
	uint64_t now;
	SSL_CTX *server;
	struct conn_room *room;
	struct conn *all, *more, *dead;
	unsigned int count;
	unsigned int by_user[CONN_USERS];
	unsigned int timed;		/* those that have a deadline */
};

/* A new one, from the listening socket. */
extern void conn_accept(struct conns *w, int listener);

/* Something has happened on that end. */
extern void conn_event(struct conns *w, struct end *e, uint32_t events);

/* After all events of a turn, in this order: ends those whose time is over;
 * goes on with those that had more to do than their turn allowed; frees those
 * that have died.
 */
extern void conn_expire(struct conns *w);
extern void conn_more(struct conns *w);
extern void conn_bury(struct conns *w);

#endif
