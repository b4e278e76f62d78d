/* listener: the sockets that clients connect to. */
#ifndef LISTENER_H
#define LISTENER_H

#include "lib/ipaddr.h"

enum { LISTENER_MOST = 64 };

struct listener {
	int fd;
	int wildcard;		/* local is not the address of a connection */
	struct ipaddr local;
	unsigned int port;
};

struct listener_options {
	int backlog;
	int six;		/* "0" means all of IPv6, as "::" does */
	int delay;		/* leave Nagle's algorithm on */
	unsigned int interface;	/* index, for link-local addresses; or 0 */
};

/* host: an address, "localhost", "0" for all of IPv4, "::" for all of IPv6,
 * ":0" for both through one socket.  port: a number or a service's name.
 * Nothing is looked up in the DNS.  Non-blocking, close-on-exec, bound and
 * listening.  1; 0: host or port is not understood; -1 with errno.
 */
extern int listener_open(struct listener *l, char const *host,
    char const *port, struct listener_options const *o);

/* A socket that the supervisor opened.  1; 0: not a listening TCP socket. */
extern int listener_adopt(struct listener *l, int fd,
    struct listener_options const *o);

#endif
