#include "tools/reportwords.h"

/* Of figures_delays and figures_ages. */
char const *const reportwords_delays[FIGURES_STEPS] = {
	"1 s", "10 s", "1 min", "10 min", "1 h", "6 h", "1 day", "longer"
};
char const *const reportwords_ages[FIGURES_STEPS] = {
	"15 min", "1 h", "4 h", "1 day", "2 days", "4 days", "7 days",
	"older"
};

char const *const reportwords_checks[LOGEVENT_CHECKS] = {
	"SPF", "DKIM", "DMARC"
};

char const *const reportwords_columns[REPORTWORDS_COLUMNS] = {
	"asked", "listed", "failed", "errors", "mean ms", "over 1 s"
};

void
reportwords_list(struct figures_list const *l,
    uint64_t cell[REPORTWORDS_COLUMNS])
{
	uint64_t timed = figures_timed(l);

	cell[0] = figures_asked(l);
	cell[1] = l->said[LOGEVENT_LISTED];
	cell[2] = l->said[LOGEVENT_FAILED];
	cell[3] = l->said[LOGEVENT_ERROR];
	cell[4] = timed ? l->ms / timed : 0;
	cell[5] = figures_slow(l);
}
