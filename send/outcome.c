#include "send/outcome.h"

#include <string.h>

#include "lib/job.h"
#include "lib/limits.h"
#include "send/active.h"
#include "send/line.h"
#include "send/reasons.h"

static void
result_line(struct slot const *which, char const *what, char const *text)
{
	line_put("delivery ");
	line_number(which->number);
	line_put(what);
	line_text(text, strlen(text));
	line_end();
}

/* Notes a report: the recipient's index, its address without what
 * virtualdomains put in front, and the text.
 */
static void
add_report(struct active *a, stralloc *out, uint32_t i, char const *text,
    char const *more)
{
	struct recipient *r = &a->rcpt[i];
	size_t n = strnlen(text + 1, LIMIT_REPORT), len = out->len;

	while (job_number(out, i) == -1 ||
	    job_puts(out, a->text.s + r->address + r->prefix) == -1 ||
	    !stralloc_catb(out, text + 1, n) ||
	    (n && text[n] != '\n' && !stralloc_catb(out, "\n", 1)) ||
	    !stralloc_cats(out, more) || !stralloc_0(out)) {
		out->len = len;
		state_nomem();
	}
}

void
outcome_fail(struct active *a, uint32_t i, char const *text)
{
	add_report(a, &a->failures, i, text, *text == 'Z' ?
	    "I'm not going to try again; "
	    "this message has been in the queue too long.\n" : "");
	a->rcpt[i].state = FAILED;
	a->failed++;
}

static void
deferred(struct send *s, struct slot const *which, char const *text)
{
	struct active *a = which->job->a;

	result_line(which, ": deferral: ", text + 1);
	s->table.m[a->message].reason = reasons_put(text + 1);
	if (!a->warn || a->delays.len > OUTCOME_BYTES)
		return;
	add_report(a, &a->delays, which->rcpt, text, "");
	a->delayed++;
}

/* Did its host not answer?  RFC 3463 3.5: network and routing status; ours
 * for a connection that failed or died.
 */
static int
site_trouble(char const *text)
{
	return *text == 'Z' && strstr(text, "(#4.4.");
}

void
outcome_note(struct send *s, struct slot const *which, char const *text)
{
	struct active *a = which->job->a;
	struct recipient *r = &a->rcpt[which->rcpt];

	r->state = LATER;
	if (site_trouble(text))
		which->job->trouble = 1;
	else if (*text == 'K' || *text == 'D' || *text == 'Z')
		which->job->reached = 1;
	if (*text == 'K') {
		result_line(which, ": success: ", text + 1);
		r->state = DONE;
		a->unmarked++;
	} else if (*text == 'D' || (*text == 'Z' && a->dying)) {
		result_line(which, ": failure: ", text + 1);
		outcome_fail(a, which->rcpt, text);
	} else if (*text == 'Z') {
		deferred(s, which, text);
	} else if (*text == 'C') {
		result_line(which, ": deferral: ", "Message file is damaged.");
		a->damaged = "body does not fit its checksum";
		active_cancel(s, a);
	} else {
		result_line(which, ": report mangled, will defer", "");
	}
}
