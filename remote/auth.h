/* auth: SMTP AUTH (RFC 4954), PLAIN or LOGIN, for a smarthost. */
#ifndef REMOTE_AUTH_H
#define REMOTE_AUTH_H

#include "remote/server.h"

/* 1 the server knows us; 0, -1 as server_ready. */
extern int auth(struct server *s, struct smtproute const *route,
    struct report *p);

#endif
