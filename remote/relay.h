/* relay: messages to other hosts, one after the other.  The connection that
 * was used last is kept, for the next message that goes the same way.
 */
#ifndef REMOTE_RELAY_H
#define REMOTE_RELAY_H

#include "remote/content.h"
#include "remote/hosts.h"
#include "remote/report.h"
#include "remote/server.h"
#include "remote/settings.h"
#include "remote/sts.h"

struct relay {
	struct settings settings;
	struct smtproute route;	/* of the message at hand */
	struct server server;
	int fd;			/* its connection; -1: none */
	pid_t tls_pid;		/* of the tlsconnect that has it; 0: none */
	struct tls tls;		/* what is asked of it */
	stralloc key;		/* of everything that decides where it went */
	unsigned int messages;	/* that it has carried */
	uint64_t opened;	/* monotonic seconds */
	char const *domain;	/* of the message at hand */
	struct hosts hosts;
	struct stspolicy sts;	/* of its domain */
	int sts_binds;
	struct content content;	/* of the message at hand */
	struct report report;	/* its recipients */
};
#define RELAY_ZERO { .settings = SETTINGS_ZERO, .fd = -1, \
	.tls = TLS_ZERO, .sts = STSPOLICY_ZERO, .key = STRALLOC_ZERO, \
	.report = REPORT_ZERO }

/* Delivers r->content to r->report's recipients, all at that domain; the
 * report says what became of it.
 */
extern void relay_message(struct relay *r, char const *domain,
    char const *sender);

/* Ends the connection, with QUIT if the server still listens. */
extern void relay_end(struct relay *r);

#endif
