/* report: what scanq writes about a message: header lines, log line, and the
 * alert to the administrator.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

#include <skalibs/stralloc.h>

#include "scanq/intake.h"
#include "scanq/scan.h"

struct report {
	struct scan const *scan;
	struct intake const *intake;
	stralloc const *envelope;
	char const *action;	/* accept, refuse, ... */
	uint64_t started;	/* milliseconds */
	uint64_t now;		/* seconds since 1970 */
};

/* "Received: (scanq 123 invoked by uid 7, session 6921e3a5-1f3a); date" LF */
extern int report_received(stralloc *out, uint64_t now);

/* "X-Postern-Scan: ...", folded, and X-Postern-Spam if spamd was asked. */
extern int report_header(stralloc *out, struct report const *r);

extern void report_log(struct report const *r);

/* The reason in a few words: rule, and what it was found in.  Printable. */
extern int report_reason(stralloc *out, struct scan const *s);

/* The whole message to the administrator.  kept: where the original is; ""
 * if nowhere.  digest: what alertlimit gave.
 */
extern int report_alert(stralloc *out, struct report const *r,
    char const *to, char const *host, char const *kept,
    stralloc const *digest);

/* The message to recipients whose mail has gone into quarantine. */
extern int report_notice(stralloc *out, struct report const *r,
    char const *host);

#endif
