/* report: figures as text, as a page with pictures, and as what Prometheus
 * reads.  What comes from the network appears as printable ASCII, escaped as
 * each format asks.
 */
#ifndef REPORT_H
#define REPORT_H

#include <skalibs/stralloc.h>

#include "tools/figures.h"

struct report {
	struct figures const *f;
	char const *host;
	char const *day;	/* 2026-11-25 */
	char const *before;	/* the days whose pages exist, or "" */
	char const *after;
	char const *made;	/* when */
};

/* Each appends.  1, -1 out of memory. */
extern int report_text(struct report const *r, stralloc *out);
extern int report_page(struct report const *r, stralloc *out);
extern int report_metrics(struct figures const *f, stralloc *out);

#endif
