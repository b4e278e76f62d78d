/* checks: what doctor looks at.  Each reports through tools/finding.h, works
 * in the home directory, and changes nothing.
 */
#ifndef CHECKS_H
#define CHECKS_H

#include <skalibs/stralloc.h>

#include "lib/ipaddr.h"

enum { CHECKS_ADDRESSES = 16, CHECKS_DOMAINS = 20 };

/* What several checks need. */
struct machine {
	stralloc me;		/* control/me, NUL-terminated */
	struct ipaddr addresses[CHECKS_ADDRESSES]; /* not loopback */
	unsigned int n;
	stralloc domains;	/* of ours, each NUL-terminated */
};
#define MACHINE_ZERO { STRALLOC_ZERO, { { { 0 } } }, 0, STRALLOC_ZERO }

/* 1; 0 control/me names no host; -1 */
extern int checks_prepare(struct machine *m);
/* A port that somebody elsewhere cannot reach by nature: 10.0.0.1, fe80::1. */
extern int checks_private(struct ipaddr const *a);
/* A domain of ours that refuses unknown recipients: what a catch-all takes is
 * no proof of relaying.  Without one, the name of this host.
 */
extern char const *checks_strict(struct machine const *m);
extern unsigned int checks_setting(char const *file, unsigned int otherwise);
/* Does mail that comes to port 25 pass this filter (scanq, dmarcq)? */
extern int checks_filter(char const *name);

/* checkhost.c */
/* Does "mailctl stat" say that this service runs?  1, 0; -1 it says nothing. */
extern int checks_runs(char const *service);
extern void check_services(struct machine const *m);
extern void check_files(struct machine const *m);
extern void check_settings(struct machine const *m);
extern void check_queue(struct machine const *m);
extern void check_disk(struct machine const *m);
extern void check_clock(struct machine const *m);
extern void check_leftovers(struct machine const *m);

/* checkmail.c */
extern void check_ports(struct machine const *m);
extern void check_relay(struct machine const *m);
extern void check_recipients(struct machine const *m);
extern void check_scanner(struct machine const *m);
extern void check_authors(struct machine const *m);
extern void check_certificate(struct machine const *m);

/* checkbox.c */
extern void check_mailboxes(struct machine const *m);

/* checkdns.c */
extern void check_resolver(struct machine const *m);
extern void check_dns(struct machine const *m);
extern void check_lists(struct machine const *m);

#endif
