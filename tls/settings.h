/* settings: what tlsd wants to know before it locks itself in. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <sys/types.h>

#include "lib/role.h"
#include "tls/conn.h"

struct settings {
	struct role tls;
	uid_t uid[CONN_USERS];		/* who may hand over */
	unsigned int users;
	unsigned int sessions;		/* at a time */
	unsigned int handshake, idle;	/* deadlines, in seconds */
	char ciphers[512];		/* for TLS 1.2 */
};

/* From the current directory: conf-users, control/.  Exits with a message if
 * something is wrong with them.
 */
extern void settings_read(struct settings *s);

#endif
