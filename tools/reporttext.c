/* Figures as text, for mail and terminals, and for Prometheus. */
#include "tools/report.h"

#include <string.h>

#include "tools/put.h"
#include "tools/reportwords.h"

enum { BAR = 40 };

static char const *
printable(char out[TALLY_NAME + 1], struct tally_entry const *e, size_t most)
{
	size_t i;

	for (i = 0; i < e->n && i < most; i++)
		out[i] = e->name[i] < 32 || e->name[i] > 126 ? '?' :
		    e->name[i];
	out[i] = 0;
	return out;
}

static int
put_top(stralloc *out, char const *title, struct tally const *t)
{
	char name[TALLY_NAME + 1];
	size_t i;

	if (!t->n)
		return 1;
	if (put(out, "\n%s\n", title) == -1)
		return -1;
	for (i = 0; i < t->n && i < REPORTWORDS_TOP; i++)
		if (put(out, "%10llu  %s\n",
		    (unsigned long long)t->entry[i].count[0],
		    printable(name, t->entry + i, 64)) == -1)
			return -1;
	return 1;
}

static int
put_bar(stralloc *out, uint64_t u, uint64_t most)
{
	char bar[BAR + 1];
	size_t n = most ? (size_t)(u * BAR / most) : 0;

	if (!n && u)
		n = 1;
	memset(bar, '#', n);
	bar[n] = 0;
	return put(out, "%s%s\n", n ? "  " : "", bar);
}

static int
put_hours(stralloc *out, struct figures const *f)
{
	uint64_t most = figures_highest(f->in, 24);
	size_t i;

	if (put(out, "\nMessages by the hour, and recipients refused\n") == -1)
		return -1;
	for (i = 0; i < 24; i++)
		if (put(out, "  %02zu %8llu %8llu", i,
		    (unsigned long long)f->in[i],
		    (unsigned long long)f->refused[i]) == -1 ||
		    put_bar(out, f->in[i], most) == -1)
			return -1;
	return 1;
}

static int
put_steps(stralloc *out, char const *title, char const *const *name,
    uint64_t const *u)
{
	uint64_t most = figures_highest(u, FIGURES_STEPS);
	size_t i;

	if (!most)
		return 1;
	if (put(out, "\n%s\n", title) == -1)
		return -1;
	for (i = 0; i < FIGURES_STEPS; i++)
		if (put(out, "  %8s %8llu", name[i],
		    (unsigned long long)u[i]) == -1 ||
		    put_bar(out, u[i], most) == -1)
			return -1;
	return 1;
}

static int
put_counts(stralloc *out, struct figures const *f)
{
	static struct {
		char const *name;
		enum figure which;
	} const row[] = {
		{ "messages", FIGURE_MESSAGES },
		{ "bytes", FIGURE_BYTES },
		{ "recipients accepted from the network", FIGURE_RECIPIENTS },
		{ "refused", FIGURE_REFUSED },
		{ "viruses", FIGURE_VIRUSES },
		{ "delivered here", FIGURE_LOCAL_SUCCESS },
		{ "delivered elsewhere", FIGURE_REMOTE_SUCCESS },
		{ "put off here", FIGURE_LOCAL_DEFERRAL },
		{ "put off elsewhere", FIGURE_REMOTE_DEFERRAL },
		{ "failed here", FIGURE_LOCAL_FAILURE },
		{ "failed elsewhere", FIGURE_REMOTE_FAILURE },
		{ "bounces", FIGURE_BOUNCES },
		{ "connections", FIGURE_CONNECTIONS },
		{ "logins", FIGURE_LOGINS },
		{ "logins refused", FIGURE_LOGINS_REFUSED }
	};
	size_t i;

	for (i = 0; i < sizeof row / sizeof *row; i++)
		if (put(out, "%10llu  %s\n",
		    (unsigned long long)f->count[row[i].which],
		    row[i].name) == -1)
			return -1;
	return 1;
}

/* What dmarcq has found.  Results that nothing had are left out. */
static int
put_senders(stralloc *out, struct figures const *f)
{
	unsigned int i, j;

	if (!figures_checked(f))
		return 1;
	if (put(out, "\nSenders checked\n") == -1)
		return -1;
	for (i = 0; i < LOGEVENT_CHECKS; i++)
		if (put(out, "%10s", reportwords_checks[i]) == -1)
			return -1;
	if (put(out, "\n") == -1)
		return -1;
	for (j = 0; j < LOGEVENT_RESULTS; j++) {
		if (!figures_said(f, (enum logevent_result)j))
			continue;
		for (i = 0; i < LOGEVENT_CHECKS; i++)
			if (put(out, "%10llu",
			    (unsigned long long)f->said[i][j]) == -1)
				return -1;
		if (put(out, "  %s\n", logevent_results[j]) == -1)
			return -1;
	}
	return put(out, "%10llu  refused by control/dmarcpolicy\n"
	    "%10llu  put off\n",
	    (unsigned long long)f->count[FIGURE_SENDERS_REFUSED],
	    (unsigned long long)f->count[FIGURE_SENDERS_PUT_OFF]);
}

static int
put_list(stralloc *out, struct tally_entry const *e,
    struct figures_list const *l)
{
	uint64_t cell[REPORTWORDS_COLUMNS];
	char name[TALLY_NAME + 1];
	size_t i;

	reportwords_list(l, cell);
	for (i = 0; i < REPORTWORDS_COLUMNS; i++)
		if (put(out, "%10llu", (unsigned long long)cell[i]) == -1)
			return -1;
	return put(out, "  %s\n", printable(name, e, 64));
}

/* In the order in which they are asked. */
static int
put_lists(stralloc *out, struct figures const *f)
{
	size_t i;

	if (!f->lists.n)
		return 1;
	if (put(out, "\nDNS lists\n") == -1)
		return -1;
	for (i = 0; i < REPORTWORDS_COLUMNS; i++)
		if (put(out, "%10s", reportwords_columns[i]) == -1)
			return -1;
	if (put(out, "\n") == -1)
		return -1;
	for (i = 0; i < f->lists.n; i++)
		if (put_list(out, f->lists.entry + i, f->list + i) == -1)
			return -1;
	return 1;
}

int
report_text(struct report const *r, stralloc *out)
{
	struct figures const *f = r->f;

	if (put(out, "Mail of %s on %s\n\n", r->host, r->day) == -1 ||
	    put_counts(out, f) == -1 || put_hours(out, f) == -1 ||
	    put_top(out, "Refused, by reason", &f->reasons) == -1 ||
	    put_top(out, "Refused, by client", &f->clients) == -1 ||
	    put_lists(out, f) == -1 || put_senders(out, f) == -1 ||
	    put_top(out, "Fail DMARC, by the author's domain",
	    &f->authors) == -1 || put_top(out, "Viruses", &f->viruses) == -1 ||
	    put_top(out, "Senders, by messages", &f->senders) == -1 ||
	    put_top(out, "Destinations, by deliveries",
	    &f->destinations) == -1 ||
	    put_steps(out, "Delivered within", reportwords_delays, f->delay) ==
	    -1 || put_steps(out, "Not finished, younger than",
	    reportwords_ages, f->age) == -1)
		return -1;
	return put(out, "\nMade %s by mailreport.\n", r->made);
}

/* ---- for Prometheus: its text format, version 0.0.4 */

struct metric {
	char const *name, *help;
	enum figure which;
};

static int
put_head(stralloc *out, char const *name, char const *help, char const *type)
{
	return put(out, "# HELP postern_%s %s\n# TYPE postern_%s %s\n", name,
	    help, name, type);
}

static int
put_counters(stralloc *out, struct figures const *f)
{
	static struct metric const m[] = {
		{ "connections_total", "Connections accepted by listen.",
		    FIGURE_CONNECTIONS },
		{ "connections_denied_total", "Connections refused by listen.",
		    FIGURE_DENIED },
		{ "recipients_accepted_total",
		    "Recipients accepted from the network.",
		    FIGURE_RECIPIENTS },
		{ "viruses_total", "Messages with a virus.", FIGURE_VIRUSES },
		{ "message_bytes_total", "Bytes of messages queued.",
		    FIGURE_BYTES },
		{ "bounces_total", "Bounces sent.", FIGURE_BOUNCES }
	};
	size_t i;

	for (i = 0; i < sizeof m / sizeof *m; i++)
		if (put_head(out, m[i].name, m[i].help, "counter") == -1 ||
		    put(out, "postern_%s %llu\n", m[i].name,
		    (unsigned long long)f->count[m[i].which]) == -1)
			return -1;
	/* those of queued; where another queue is at work, send's word */
	return put_head(out, "messages_total", "Messages queued.",
	    "counter") == 1 ? put(out, "postern_messages_total %llu\n",
	    (unsigned long long)(f->count[FIGURE_QUEUED] ?
	    f->count[FIGURE_QUEUED] : f->count[FIGURE_MESSAGES])) : -1;
}

static int
put_deliveries(stralloc *out, struct figures const *f)
{
	static char const *const channel[] = { "local", "remote" };
	static char const *const result[] = {
		"success", "deferral", "failure"
	};
	size_t i;

	if (put_head(out, "deliveries_total", "Deliveries ended.",
	    "counter") == -1)
		return -1;
	for (i = 0; i < 6; i++)
		if (put(out, "postern_deliveries_total{channel=\"%s\","
		    "result=\"%s\"} %llu\n", channel[i / 3], result[i % 3],
		    (unsigned long long)f->count[FIGURE_LOCAL_SUCCESS + i]) ==
		    -1)
			return -1;
	if (put_head(out, "logins_total", "Logins, by result.",
	    "counter") == -1)
		return -1;
	return put(out, "postern_logins_total{result=\"accepted\"} %llu\n"
	    "postern_logins_total{result=\"refused\"} %llu\n",
	    (unsigned long long)f->count[FIGURE_LOGINS],
	    (unsigned long long)f->count[FIGURE_LOGINS_REFUSED]);
}

/* A name as the value of a label: nothing in it that would need escaping. */
static char const *
label(char out[TALLY_NAME + 1], struct tally_entry const *e)
{
	char *p;

	printable(out, e, 120);
	for (p = out; *p; p++)
		if (*p == '"' || *p == '\\')
			*p = '\'';
	return out;
}

static int
put_reasons(stralloc *out, struct figures const *f)
{
	char name[TALLY_NAME + 1];
	uint64_t known = 0;
	size_t i;

	if (put_head(out, "refused_total",
	    "Connections, recipients and messages refused.", "counter") == -1)
		return -1;
	for (i = 0; i < f->reasons.n; i++) {
		struct tally_entry const *e = f->reasons.entry + i;

		known += e->count[0];
		if (put(out, "postern_refused_total{reason=\"%s\"} %llu\n",
		    label(name, e), (unsigned long long)e->count[0]) == -1)
			return -1;
	}
	if (f->count[FIGURE_REFUSED] <= known)
		return 1;
	return put(out, "postern_refused_total{reason=\"(others)\"} %llu\n",
	    (unsigned long long)(f->count[FIGURE_REFUSED] - known));
}

static int
put_delays(stralloc *out, struct figures const *f)
{
	uint64_t sum = 0;
	size_t i;

	if (put_head(out, "delivery_delay_seconds",
	    "From queued to delivered.", "histogram") == -1)
		return -1;
	for (i = 0; i < FIGURES_STEPS - 1; i++) {
		sum += f->delay[i];
		if (put(out, "postern_delivery_delay_seconds_bucket"
		    "{le=\"%llu\"} %llu\n",
		    (unsigned long long)figures_delays[i],
		    (unsigned long long)sum) == -1)
			return -1;
	}
	sum += f->delay[i];
	return put(out, "postern_delivery_delay_seconds_bucket{le=\"+Inf\"} "
	    "%llu\npostern_delivery_delay_seconds_sum %llu\n"
	    "postern_delivery_delay_seconds_count %llu\n",
	    (unsigned long long)sum, (unsigned long long)f->seconds,
	    (unsigned long long)sum);
}

static int
put_checks(stralloc *out, struct figures const *f)
{
	unsigned int i, j;

	if (put_head(out, "sender_results_total",
	    "What SPF, DKIM and DMARC said of messages.", "counter") == -1)
		return -1;
	for (i = 0; i < LOGEVENT_CHECKS; i++)
		for (j = 0; j < LOGEVENT_RESULTS; j++)
			if (put(out, "postern_sender_results_total"
			    "{check=\"%s\",result=\"%s\"} %llu\n",
			    logevent_checks[i], logevent_results[j],
			    (unsigned long long)f->said[i][j]) == -1)
				return -1;
	if (put_head(out, "sender_checked_total",
	    "Messages whose sender was checked, by outcome.", "counter") == -1)
		return -1;
	return put(out, "postern_sender_checked_total{outcome=\"accepted\"} "
	    "%llu\npostern_sender_checked_total{outcome=\"refused\"} %llu\n"
	    "postern_sender_checked_total{outcome=\"put off\"} %llu\n",
	    (unsigned long long)f->count[FIGURE_SENDERS_ACCEPTED],
	    (unsigned long long)f->count[FIGURE_SENDERS_REFUSED],
	    (unsigned long long)f->count[FIGURE_SENDERS_PUT_OFF]);
}

static int
put_answers(stralloc *out, struct figures const *f)
{
	static char const *const said[LOGEVENT_SAID] = {
		"listed", "not", "failed", "error", "skipped"
	};
	char name[TALLY_NAME + 1];
	size_t i, j;

	if (put_head(out, "dnsbl_answers_total", "What DNS lists said.",
	    "counter") == -1)
		return -1;
	for (i = 0; i < f->lists.n; i++)
		for (j = 0; j < LOGEVENT_SAID; j++)
			if (put(out, "postern_dnsbl_answers_total"
			    "{list=\"%s\",answer=\"%s\"} %llu\n",
			    label(name, f->lists.entry + i), said[j],
			    (unsigned long long)f->list[i].said[j]) == -1)
				return -1;
	return 1;
}

static int
put_speed(stralloc *out, char const *name, struct figures_list const *l)
{
	static char const bucket[] = "postern_dnsbl_answer_seconds_bucket";
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < FIGURES_STEPS - 1; i++) {
		sum += l->step[i];
		if (put(out, "%s{list=\"%s\",le=\"%g\"} %llu\n", bucket, name,
		    (double)figures_answers[i] / 1000,
		    (unsigned long long)sum) == -1)
			return -1;
	}
	sum += l->step[i];
	return put(out, "%s{list=\"%s\",le=\"+Inf\"} %llu\n"
	    "postern_dnsbl_answer_seconds_sum{list=\"%s\"} %llu.%03llu\n"
	    "postern_dnsbl_answer_seconds_count{list=\"%s\"} %llu\n",
	    bucket, name, (unsigned long long)sum, name,
	    (unsigned long long)l->ms / 1000,
	    (unsigned long long)l->ms % 1000, name, (unsigned long long)sum);
}

static int
put_speeds(stralloc *out, struct figures const *f)
{
	char name[TALLY_NAME + 1];
	size_t i;

	if (put_head(out, "dnsbl_answer_seconds",
	    "Until a DNS list answered; failures not counted.",
	    "histogram") == -1)
		return -1;
	for (i = 0; i < f->lists.n; i++)
		if (put_speed(out, label(name, f->lists.entry + i),
		    f->list + i) == -1)
			return -1;
	return 1;
}

int
report_metrics(struct figures const *f, stralloc *out)
{
	if (put_counters(out, f) == -1 || put_deliveries(out, f) == -1 ||
	    put_reasons(out, f) == -1 || put_checks(out, f) == -1 ||
	    put_answers(out, f) == -1 || put_speeds(out, f) == -1)
		return -1;
	return put_delays(out, f);
}
