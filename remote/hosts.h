/* hosts: the addresses at which a message can be handed over, in the order in
 * which they are to be tried (RFC 5321 5.1, RFC 7505).
 */
#ifndef REMOTE_HOSTS_H
#define REMOTE_HOSTS_H

#include <stddef.h>

#include "lib/ipaddr.h"
#include "lib/smtproutes.h"
#include "remote/report.h"
#include "remote/settings.h"

enum { HOSTS_MOST = 20 };

struct hosts {
	struct ipaddr ip[HOSTS_MOST];
	size_t n;
};

/* For a domain and its route.  1 found some; 0 not: *p says why. */
extern int hosts_find(struct hosts *h, struct settings const *s,
    char const *domain, struct smtproute const *route, struct report *p);

#endif
