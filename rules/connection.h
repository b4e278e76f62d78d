/* connection: what listen knows of one client. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "lib/ipaddr.h"
#include "lib/session.h"

struct connection {
	int fd;
	struct ipaddr remote, local;
	unsigned int remote_port, local_port;
	unsigned int scope;	/* interface of a link-local address, or 0 */
	char session[SESSION_LEN];
};

#endif
