/* Figures as one HTML page, its pictures inside: no script, nothing from
 * elsewhere.
 */
#include "tools/report.h"

#include <stdio.h>
#include <string.h>

#include "tools/put.h"
#include "tools/reportwords.h"

enum {
	LABEL = 34,		/* characters of a name */
	ROW = 26, ROWS_WIDTH = 560, NAME_WIDTH = 240, BAR_WIDTH = 260,
	COLUMN_HEIGHT = 180, PLOT_LEFT = 44, PLOT_TOP = 12
};

static char const style[] =
"<style>\n"
":root{--bg:#f6f7f9;--card:#fff;--ink:#1c2733;--dim:#66727f;--line:#e3e7eb;"
"--in:#2f6fab;--out:#8fb8dc;--bad:#d9673a}\n"
"@media(prefers-color-scheme:dark){:root{--bg:#12171d;--card:#1b222a;"
"--ink:#e4e9ee;--dim:#93a0ad;--line:#2c3640;--in:#5b9bd5;--out:#35536f;"
"--bad:#e58055}}\n"
"*{box-sizing:border-box}body{margin:0;background:var(--bg);"
"color:var(--ink);font:15px/1.45 system-ui,-apple-system,\"Segoe UI\","
"\"DejaVu Sans\",sans-serif}\n"
"main{max-width:1180px;margin:0 auto;padding:28px 20px 40px}\n"
"header{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 18px;"
"margin-bottom:18px}h1{font-size:24px;margin:0;font-weight:650}"
"header p{margin:0;color:var(--dim)}nav{margin-left:auto}"
"a{color:var(--in);text-decoration:none}a:hover{text-decoration:underline}"
"nav a{margin-left:14px}\n"
".facts{display:grid;grid-template-columns:repeat(5,1fr);gap:12px;"
"margin-bottom:14px}@media(max-width:760px){.facts{"
"grid-template-columns:repeat(2,1fr)}}\n"
".fact,section{background:var(--card);border:1px solid var(--line);"
"border-radius:10px}.fact{padding:12px 14px}.fact b{display:block;"
"font-size:23px;font-weight:650;font-variant-numeric:tabular-nums}"
".fact span{color:var(--dim);font-size:13px}.fact.bad b{color:var(--bad)}\n"
".grid{display:grid;grid-template-columns:repeat(auto-fit,"
"minmax(min(100%,470px),1fr));gap:14px}section{padding:14px 18px 12px;"
"min-width:0}section.wide{grid-column:1/-1}h2{font-size:15px;margin:0 0 8px;"
"font-weight:650}.none{color:var(--dim);margin:4px 0 6px}\n"
"svg{display:block;width:100%;height:auto;font-size:12.5px}"
"svg text{fill:var(--ink)}svg .dim{fill:var(--dim)}.in{fill:var(--in)}"
".out{fill:var(--out)}.bad{fill:var(--bad)}.rule{stroke:var(--line)}"
".key{float:right;font-weight:400;color:var(--dim);font-size:13px}"
".key i{display:inline-block;width:10px;height:10px;border-radius:2px;"
"margin:0 5px 0 14px}table{width:100%;border-collapse:collapse;"
"font-variant-numeric:tabular-nums}th{text-align:left;font-weight:400}"
"td{text-align:right}tr:first-child{color:var(--dim)}"
"footer{color:var(--dim);font-size:13px;"
"margin-top:18px}\n"
"</style>\n";

/* Text in HTML, at most so many characters of it. */
static int
put_text(stralloc *out, char const *s, size_t n, size_t most)
{
	size_t i;

	for (i = 0; i < n && i < most; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '<' || c == '>' || c == '&' || c == '"' ||
		    c == '\'') {
			if (put(out, "&#%u;", c) == -1)
				return -1;
		} else if (put(out, "%c", c < 32 || c > 126 ? '?' : c) == -1) {
			return -1;
		}
	}
	return i == n ? 1 : put(out, "&#8230;");
}

/* 1234567 as 1,234,567 */
static char const *
grouped(char out[32], uint64_t u)
{
	char s[24];
	int n = snprintf(s, sizeof s, "%llu", (unsigned long long)u), i;
	char *p = out;

	for (i = 0; i < n; i++) {
		*p++ = s[i];
		if ((n - i) % 3 == 1 && i + 1 < n)
			*p++ = ',';
	}
	*p = 0;
	return out;
}

static char const *
bytes(char out[32], uint64_t u)
{
	static char const *const unit[] = {
		"bytes", "KB", "MB", "GB", "TB", "PB", "EB"
	};
	double d = (double)u;
	size_t i = 0;

	while (d >= 999.5 && i + 1 < sizeof unit / sizeof *unit) {
		d /= 1000;
		i++;
	}
	snprintf(out, 32, d < 9.95 && i ? "%.1f %s" : "%.0f %s", d, unit[i]);
	return out;
}

/* The end of a scale: a round number, not below u. */
static uint64_t
scale(uint64_t u)
{
	static uint64_t const round[] = { 1, 2, 3, 4, 5, 6, 8, 10 };
	uint64_t ten = 1;
	size_t i = 0;

	while (ten < u / 10)
		ten *= 10;
	while (round[i] * ten < u && i + 1 < sizeof round / sizeof *round)
		i++;
	return round[i] * ten;
}

/* ---- rows: a name and a bar */

static int
put_row(stralloc *out, size_t i, struct tally_entry const *e, uint64_t most,
    char const *class)
{
	unsigned int y = (unsigned int)(i * ROW);
	unsigned int w = (unsigned int)(e->count[0] * BAR_WIDTH / most);
	char fmt[32];

	if (put(out, "<g><title>") == -1 ||
	    put_text(out, e->name, e->n, TALLY_NAME) == -1 ||
	    put(out, ": %s</title><text x=\"%d\" y=\"%u\" "
	    "text-anchor=\"end\">", grouped(fmt, e->count[0]),
	    NAME_WIDTH - 10, y + 17) == -1 ||
	    put_text(out, e->name, e->n, LABEL) == -1)
		return -1;
	return put(out, "</text><rect class=\"%s\" x=\"%d\" y=\"%u\" "
	    "width=\"%u\" height=\"16\" rx=\"3\"/><text class=\"dim\" "
	    "x=\"%u\" y=\"%u\">%s</text></g>\n", class, NAME_WIDTH, y + 5,
	    w < 2 ? 2 : w, NAME_WIDTH + (w < 2 ? 2 : w) + 8, y + 17, fmt);
}

static int
put_rows(stralloc *out, char const *title, struct tally const *t,
    char const *class)
{
	size_t i, n = t->n < REPORTWORDS_TOP ? t->n :
	    REPORTWORDS_TOP;

	if (put(out, "<section><h2>%s</h2>\n", title) == -1)
		return -1;
	if (!n)
		return put(out, "<p class=\"none\">None.</p></section>\n");
	if (put(out, "<svg viewBox=\"0 0 %d %zu\" role=\"img\" "
	    "aria-label=\"%s\">\n", ROWS_WIDTH, n * ROW, title) == -1)
		return -1;
	for (i = 0; i < n; i++)
		if (put_row(out, i, t->entry + i, t->entry[0].count[0],
		    class) == -1)
			return -1;
	return put(out, "</svg></section>\n");
}

/* ---- columns */

/* Lines behind the columns, and what they stand for. */
static int
put_scale(stralloc *out, uint64_t most, unsigned int width)
{
	char fmt[32];
	unsigned int i, parts = most % 4 == 0 ? 4 : most % 5 == 0 ? 5 :
	    most % 3 == 0 ? 3 : most % 2 == 0 ? 2 : 1;

	for (i = 0; i <= parts; i++) {
		unsigned int y = PLOT_TOP + COLUMN_HEIGHT -
		    i * COLUMN_HEIGHT / parts;

		if (put(out, "<line class=\"rule\" x1=\"%d\" x2=\"%u\" "
		    "y1=\"%u\" y2=\"%u\"/><text class=\"dim\" x=\"%d\" "
		    "y=\"%u\" text-anchor=\"end\">%s</text>\n", PLOT_LEFT,
		    width, y, y, PLOT_LEFT - 8, y + 4,
		    grouped(fmt, most / parts * i)) == -1)
			return -1;
	}
	return 1;
}

static int
put_column(stralloc *out, double x, double width, uint64_t u, uint64_t most,
    char const *class)
{
	double h = (double)u * COLUMN_HEIGHT / (double)most;

	if (!u)
		return 1;
	if (h < 1.5)
		h = 1.5;
	return put(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" "
	    "width=\"%.1f\" height=\"%.1f\" rx=\"2\"/>", class, x,
	    PLOT_TOP + COLUMN_HEIGHT - h, width, h);
}

static int
put_steps(stralloc *out, char const *title, char const *const *name,
    uint64_t const *u)
{
	uint64_t most = scale(figures_highest(u, FIGURES_STEPS));
	double each = (ROWS_WIDTH - PLOT_LEFT) / (double)FIGURES_STEPS;
	char fmt[32];
	size_t i;

	if (put(out, "<section><h2>%s</h2>\n", title) == -1)
		return -1;
	if (!figures_highest(u, FIGURES_STEPS))
		return put(out, "<p class=\"none\">None.</p></section>\n");
	if (put(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" "
	    "aria-label=\"%s\">\n", ROWS_WIDTH, PLOT_TOP + COLUMN_HEIGHT + 26,
	    title) == -1 || put_scale(out, most, ROWS_WIDTH) == -1)
		return -1;
	for (i = 0; i < FIGURES_STEPS; i++) {
		double x = PLOT_LEFT + each * (double)i;

		if (put(out, "<g><title>%s: %s</title>", name[i],
		    grouped(fmt, u[i])) == -1 ||
		    put_column(out, x + each * 0.16, each * 0.68, u[i], most,
		    "in") == -1 ||
		    put(out, "<text class=\"dim\" x=\"%.1f\" y=\"%d\" "
		    "text-anchor=\"middle\">%s</text></g>\n", x + each / 2,
		    PLOT_TOP + COLUMN_HEIGHT + 19, name[i]) == -1)
			return -1;
	}
	return put(out, "</svg></section>\n");
}

static int
put_hour(stralloc *out, struct figures const *f, size_t i, uint64_t most,
    double each)
{
	double x = PLOT_LEFT + each * (double)i;

	if (put(out, "<g><title>%02zu:00: %llu messages, %llu delivered, "
	    "%llu refused</title>", i, (unsigned long long)f->in[i],
	    (unsigned long long)f->out[i],
	    (unsigned long long)f->refused[i]) == -1 ||
	    put_column(out, x + each * 0.12, each * 0.25, f->in[i], most,
	    "in") == -1 ||
	    put_column(out, x + each * 0.38, each * 0.25, f->out[i], most,
	    "out") == -1 ||
	    put_column(out, x + each * 0.64, each * 0.25, f->refused[i], most,
	    "bad") == -1)
		return -1;
	return put(out, "<text class=\"dim\" x=\"%.1f\" y=\"%d\" "
	    "text-anchor=\"middle\">%02zu</text></g>\n", x + each / 2,
	    PLOT_TOP + COLUMN_HEIGHT + 19, i);
}

static int
put_hours(stralloc *out, struct figures const *f)
{
	enum { WIDTH = 1140 };
	uint64_t const highest[] = {
		figures_highest(f->in, 24), figures_highest(f->out, 24),
		figures_highest(f->refused, 24)
	};
	uint64_t most = scale(figures_highest(highest, 3));
	size_t i;

	if (put(out, "<section class=\"wide\"><h2>By the hour"
	    "<span class=\"key\"><i style=\"background:var(--in)\"></i>"
	    "messages<i style=\"background:var(--out)\"></i>delivered"
	    "<i style=\"background:var(--bad)\"></i>refused</span></h2>\n"
	    "<svg viewBox=\"0 0 %d %d\" role=\"img\" "
	    "aria-label=\"By the hour\">\n", WIDTH,
	    PLOT_TOP + COLUMN_HEIGHT + 26) == -1 ||
	    put_scale(out, most, WIDTH) == -1)
		return -1;
	for (i = 0; i < 24; i++)
		if (put_hour(out, f, i, most, (WIDTH - PLOT_LEFT) / 24.0) ==
		    -1)
			return -1;
	return put(out, "</svg></section>\n");
}

/* ---- DNS lists */

static int
put_list(stralloc *out, struct tally_entry const *e,
    struct figures_list const *l)
{
	uint64_t cell[REPORTWORDS_COLUMNS];
	char fmt[32];
	size_t i;

	reportwords_list(l, cell);
	if (put(out, "<tr><th>") == -1 ||
	    put_text(out, e->name, e->n, LABEL) == -1 ||
	    put(out, "</th>") == -1)
		return -1;
	for (i = 0; i < REPORTWORDS_COLUMNS; i++)
		if (put(out, "<td>%s</td>", grouped(fmt, cell[i])) == -1)
			return -1;
	return put(out, "</tr>\n");
}

static int
put_lists(stralloc *out, struct figures const *f)
{
	size_t i;

	if (!f->lists.n)
		return 1;
	if (put(out, "<section class=\"wide\"><h2>DNS lists</h2>\n<table>"
	    "<tr><th>list</th>") == -1)
		return -1;
	for (i = 0; i < REPORTWORDS_COLUMNS; i++)
		if (put(out, "<td>%s</td>", reportwords_columns[i]) == -1)
			return -1;
	if (put(out, "</tr>\n") == -1)
		return -1;
	for (i = 0; i < f->lists.n; i++)
		if (put_list(out, f->lists.entry + i, f->list + i) == -1)
			return -1;
	return put(out, "</table></section>\n");
}

/* ---- senders, as dmarcq has checked them */

static int
put_check(stralloc *out, char const *name, uint64_t const *said)
{
	char fmt[32];
	size_t i;

	if (put(out, "<tr><th>%s</th>", name) == -1)
		return -1;
	for (i = 0; i < LOGEVENT_RESULTS; i++)
		if (put(out, "<td>%s</td>", grouped(fmt, said[i])) == -1)
			return -1;
	return put(out, "</tr>\n");
}

static int
put_senders(stralloc *out, struct figures const *f)
{
	char refused[32], put_off[32];
	size_t i;

	if (!figures_checked(f))
		return 1;
	if (put(out, "<section class=\"wide\"><h2>Senders checked"
	    "<span class=\"key\">refused by control/dmarcpolicy: %s, "
	    "put off: %s"
	    "</span></h2>\n<table><tr><th>check</th>",
	    grouped(refused, f->count[FIGURE_SENDERS_REFUSED]),
	    grouped(put_off, f->count[FIGURE_SENDERS_PUT_OFF])) == -1)
		return -1;
	for (i = 0; i < LOGEVENT_RESULTS; i++)
		if (put(out, "<td>%s</td>", logevent_results[i]) == -1)
			return -1;
	if (put(out, "</tr>\n") == -1)
		return -1;
	for (i = 0; i < LOGEVENT_CHECKS; i++)
		if (put_check(out, reportwords_checks[i], f->said[i]) ==
		    -1)
			return -1;
	if (put(out, "</table></section>\n") == -1)
		return -1;
	return put_rows(out, "Fail DMARC, by the author&#39;s domain",
	    &f->authors, "bad");
}

/* ---- the page */

static int
put_fact(stralloc *out, char const *value, char const *name, int bad)
{
	return put(out, "<div class=\"fact%s\"><b>%s</b><span>%s</span>"
	    "</div>\n", bad ? " bad" : "", value, name);
}

static int
put_facts(stralloc *out, struct figures const *f)
{
	uint64_t const *c = f->count;
	char s[32];
	uint64_t done = c[FIGURE_LOCAL_SUCCESS] + c[FIGURE_REMOTE_SUCCESS];
	uint64_t later = c[FIGURE_LOCAL_DEFERRAL] + c[FIGURE_REMOTE_DEFERRAL];
	uint64_t lost = c[FIGURE_LOCAL_FAILURE] + c[FIGURE_REMOTE_FAILURE];

	if (put(out, "<div class=\"facts\">\n") == -1 ||
	    put_fact(out, grouped(s, c[FIGURE_MESSAGES]), "messages", 0) ==
	    -1 || put_fact(out, bytes(s, c[FIGURE_BYTES]), "of mail", 0) ==
	    -1 || put_fact(out, grouped(s, done), "delivered", 0) == -1 ||
	    put_fact(out, grouped(s, later), "put off", 0) == -1 ||
	    put_fact(out, grouped(s, lost), "failed", lost != 0) == -1 ||
	    put_fact(out, grouped(s, c[FIGURE_REFUSED]), "refused", 0) == -1 ||
	    put_fact(out, grouped(s, c[FIGURE_VIRUSES]), "viruses",
	    c[FIGURE_VIRUSES] != 0) == -1 ||
	    put_fact(out, grouped(s, c[FIGURE_CONNECTIONS]), "connections",
	    0) == -1 ||
	    put_fact(out, grouped(s, c[FIGURE_LOGINS]), "logins", 0) == -1 ||
	    put_fact(out, grouped(s, c[FIGURE_LOGINS_REFUSED]),
	    "logins refused", 0) == -1)
		return -1;
	return put(out, "</div>\n");
}

static int
put_header(stralloc *out, struct report const *r)
{
	if (put(out, "<!DOCTYPE html>\n<html lang=\"en\"><head>"
	    "<meta charset=\"utf-8\">\n<meta http-equiv="
	    "\"Content-Security-Policy\" content=\"default-src 'none'; "
	    "style-src 'unsafe-inline'\">\n<meta name=\"viewport\" "
	    "content=\"width=device-width,initial-scale=1\">\n"
	    "<title>Mail of ") == -1 ||
	    put_text(out, r->host, strlen(r->host), 200) == -1 ||
	    put(out, ", %s</title>\n", r->day) == -1 ||
	    !stralloc_cats(out, style) ||
	    put(out, "</head><body><main>\n<header><h1>") == -1 ||
	    put_text(out, r->host, strlen(r->host), 200) == -1 ||
	    put(out, "</h1><p>mail on %s</p><nav>", r->day) == -1)
		return -1;
	if (*r->before && put(out, "<a href=\"%s.html\">&#8592; %s</a>",
	    r->before, r->before) == -1)
		return -1;
	if (*r->after && put(out, "<a href=\"%s.html\">%s &#8594;</a>",
	    r->after, r->after) == -1)
		return -1;
	return put(out, "</nav></header>\n");
}

int
report_page(struct report const *r, stralloc *out)
{
	struct figures const *f = r->f;

	if (put_header(out, r) == -1 || put_facts(out, f) == -1 ||
	    put(out, "<div class=\"grid\">\n") == -1 ||
	    put_hours(out, f) == -1 ||
	    put_rows(out, "Refused, by reason", &f->reasons, "bad") == -1 ||
	    put_rows(out, "Refused, by client", &f->clients, "bad") == -1 ||
	    put_rows(out, "Senders, by messages", &f->senders, "in") == -1 ||
	    put_rows(out, "Destinations, by deliveries", &f->destinations,
	    "in") == -1 ||
	    put_steps(out, "Time until delivered, up to",
	    reportwords_delays, f->delay) == -1 ||
	    put_steps(out, "Still in the queue, age up to", reportwords_ages,
	    f->age) == -1 ||
	    put_rows(out, "Viruses", &f->viruses, "bad") == -1 ||
	    put_senders(out, f) == -1 || put_lists(out, f) == -1)
		return -1;
	return put(out, "</div>\n<footer>Made %s by mailreport from the "
	    "logs.</footer></main></body></html>\n", r->made);
}
