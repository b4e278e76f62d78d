/* hosts: the addresses at which a message can be handed over, in the order in
 * which they are to be tried (RFC 5321 5.1, RFC 7505).
 */
#ifndef REMOTE_HOSTS_H
#define REMOTE_HOSTS_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "lib/ipaddr.h"
#include "lib/smtproutes.h"
#include "remote/report.h"
#include "remote/settings.h"

enum { HOSTS_MOST = 20, HOSTS_NAMES = 16, HOSTS_NAME = 256 };

struct host_name {
	char name[HOSTS_NAME];	/* "": an address alone */
	char base[HOSTS_NAME];	/* where its CNAME leads; or of the records */
	int secure;		/* DNSSEC vouches for name and addresses */
	int dane;		/* it has records: 1; 0 no; -1 not known now */
	int answered;		/* of use to tlsa.c alone */
	stralloc tlsa;		/* the records, as dnsq(1) has them */
};

struct host {
	struct ipaddr ip;
	struct host_name *of;
};

struct hosts {
	struct host at[HOSTS_MOST];
	size_t n;
	struct host_name name[HOSTS_NAMES]; /* best first */
	size_t names;
};

/* For a domain and its route.  1 found some; 0 not: *p says why. */
extern int hosts_find(struct hosts *h, struct settings const *s,
    char const *domain, struct smtproute const *route, struct report *p);

#endif
