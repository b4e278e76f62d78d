#include "rblcheck/report.h"

#include <skalibs/types.h>

#include "lib/log.h"

/* word=list[:detail][/123ms] */
static void
report_list(struct answers const *a, unsigned int i, stralloc *item)
{
	static char const *const words[] = {
		"skipped", "not", "listed", "failed"
	};
	struct answer const *of = &a->of[i];
	int state = answers_state(a, i);
	char ms[UINT64_FMT];

	item->len = 0;
	stralloc_cats(item, a->lists->at[i].base);
	if (*of->code || state == ANSWER_TROUBLE) {
		stralloc_cats(item, ":");
		stralloc_cats(item, *of->code ? of->code : of->why);
	}
	if (state != ANSWER_PENDING) {
		stralloc_cats(item, "/");
		stralloc_catb(item, ms, uint64_fmt(ms, of->ms));
		stralloc_cats(item, "ms");
	}
	log_value(of->error ? "error" : words[state], item->s, item->len);
}

void
report_answers(struct answers const *a, char const *key, char const *subject,
    char const *verdict, uint64_t ms)
{
	stralloc item = STRALLOC_ZERO;
	unsigned int i;
	int bad = 0;

	for (i = 0; i < a->lists->n; i++)
		bad |= answers_state(a, i) == ANSWER_TROUBLE || a->of[i].error;
	log_start(bad ? "warning" : "info", "checked");
	log_string(key, subject);
	log_string("verdict", verdict);
	log_number("ms", ms);
	for (i = 0; i < a->lists->n; i++)
		report_list(a, i, &item);
	log_end();
	stralloc_free(&item);
}
