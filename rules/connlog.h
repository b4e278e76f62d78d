/* connlog: listen's log, in tcpserver's lines, which log tools know.  Lines
 * gather until connlog_flush, which is one write.
 *
 *	listen: status: 1/40
 *	listen: pid 4711 from 192.0.2.7
 *	listen: ok 4711 LHOST:LIP:LPORT RHOST:RIP:RINFO:RPORT session=6921-1f.2
 *	listen: deny 0 LHOST:LIP:LPORT RHOST:RIP:RINFO:RPORT session=... REASON
 *	listen: end 4711 status 256
 *
 * A refused client never has a process, hence pid 0.  IPv6 addresses stand in
 * brackets, since colons part the fields.
 */
#ifndef CONNLOG_H
#define CONNLOG_H

#include <stdint.h>
#include <sys/types.h>

#include "rules/connection.h"

enum connlog_level {
	CONNLOG_NOTHING,
	CONNLOG_TROUBLE,
	CONNLOG_ALL
};

extern void connlog_init(enum connlog_level level, char const *localhost);
extern void connlog_status(unsigned int n, unsigned int limit);
extern void connlog_ok(pid_t pid, struct connection const *c);
extern void connlog_deny(struct connection const *c, char const *reason);
extern void connlog_end(pid_t pid, int status);
extern void connlog_flush(void);

/* "unable to VERB OBJECT: errno's text", at once, but no more than one line a
 * second: trouble with every client must not fill the log.
 */
extern void connlog_trouble(uint64_t now, char const *verb,
    char const *object);

#endif
