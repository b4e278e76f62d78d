/* reportwords: how a report calls things, in its text and on its page. */
#ifndef REPORTWORDS_H
#define REPORTWORDS_H

#include "tools/figures.h"

enum {
	REPORTWORDS_TOP = 10,		/* rows of a table of names */
	REPORTWORDS_COLUMNS = 6		/* of the table of DNS lists */
};

extern char const *const reportwords_delays[FIGURES_STEPS];
extern char const *const reportwords_ages[FIGURES_STEPS];
extern char const *const reportwords_checks[LOGEVENT_CHECKS];
extern char const *const reportwords_columns[REPORTWORDS_COLUMNS];

/* What stands in these columns for a DNS list. */
extern void reportwords_list(struct figures_list const *l,
    uint64_t cell[REPORTWORDS_COLUMNS]);

#endif
