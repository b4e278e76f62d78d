/* Figures as one HTML page, its pictures inside: no script, nothing from
 * elsewhere.
 */
#include "tools/report.h"

#include <stdio.h>
#include <string.h>

#include "tools/put.h"
#include "tools/reportwords.h"

static char const style[] =
"<style>\n"
":root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2733;"
"--dim:#5f6b78;--line:#e3e7eb;--in:#24619c;--out:#7fb0dc;--bad:#cf5a2b}\n"
"@media(prefers-color-scheme:dark){:root{--bg:#12171d;--card:#1b222a;"
"--ink:#e4e9ee;--dim:#93a0ad;--line:#2c3640;--in:#6aaae3;--out:#47719a;"
"--bad:#e58055}}\n"
"*{box-sizing:border-box;print-color-adjust:exact;"
"-webkit-print-color-adjust:exact}"
"body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 "
"system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;"
"font-variant-numeric:tabular-nums}\n"
"main{max-width:1180px;margin:0 auto;padding:28px 20px 40px}\n"
"header{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 18px;"
"margin-bottom:18px}h1{font-size:24px;margin:0;font-weight:650;"
"min-width:0;overflow-wrap:anywhere}header p,.none,.note,footer{"
"color:var(--dim)}header p{margin:0}nav{margin-left:auto}"
"a{color:var(--in);text-decoration:none}a:hover{text-decoration:underline}"
"nav a{margin-left:14px}\n"
".facts{display:grid;grid-template-columns:repeat(5,1fr);gap:12px;"
"margin-bottom:14px}.fact,section{background:var(--card);"
"border:1px solid var(--line);border-radius:10px}.fact{padding:12px 14px}"
".fact b{display:block;font-size:23px;font-weight:650}"
".fact span{color:var(--dim);font-size:13px}.fact.bad b{color:var(--bad)}\n"
".sections{display:flex;flex-wrap:wrap;gap:14px}section{min-width:0;"
"flex:1 1 min(100%,470px);padding:14px 18px 12px}section.wide{"
"flex-basis:100%}h2{font-size:15px;margin:0 0 8px;font-weight:650}"
".none,.note{margin:4px 0 6px}.note,footer{font-size:13px}"
"footer{margin-top:18px}.key{float:right;font-weight:400;color:var(--dim);"
"font-size:13px}.key i{display:inline-block;width:10px;height:10px;"
"margin:0 5px 0 14px}\n"
"i{border-radius:2px}i.in{background:var(--in)}i.out{background:"
"var(--out)}i.bad{background:var(--bad)}\n"
"table{width:100%;border-collapse:collapse}th,td{padding:1px 0}th{"
"text-align:left;font-weight:400}td{text-align:right;width:9%}"
".head{color:var(--dim)}.result td{width:20%}.name{max-width:0;"
"padding-right:12px}.name span{display:-webkit-box;overflow:hidden;"
"-webkit-box-orient:vertical;-webkit-line-clamp:2;line-clamp:2;"
"overflow-wrap:anywhere}.bars{font-size:13px}.bars .name{width:50%}"
".bars td{width:auto}.bars i{display:block;height:14px;min-width:2px}"
".bars td:last-child{width:1px;padding:2px 0 2px 12px;"
"white-space:nowrap;color:var(--dim)}\n"
".plot{display:flex;gap:8px;height:212px;padding:10px 0 22px;"
"font-size:12.5px;color:var(--dim)}.plot>p{display:flex;margin:0;"
"flex-direction:column-reverse;justify-content:space-between;"
"text-align:right;line-height:0}.plot>p span{height:0}"
".plot>div{flex:1;min-width:0;display:flex;border-bottom:1px solid "
"var(--line);background-image:linear-gradient(var(--line) 1px,"
"transparent 1px)}.plot>div>div{flex:1 1 0;min-width:0;position:relative;"
"display:flex;align-items:flex-end;gap:1px;padding:0 5px}"
".plot i{flex:1;border-radius:2px 2px 0 0}.plot i[class]{"
"min-height:1px}.plot b{position:absolute;"
"top:100%;left:0;right:0;margin-top:5px;font-weight:400;line-height:1;"
"text-align:center}\n"
"@media(max-width:760px){.facts{grid-template-columns:repeat(2,1fr)}"
".plot{font-size:11px;height:222px;padding-bottom:32px}"
".plot>div>div{padding:0 1px}.plot b{left:50%;right:auto;"
"width:min-content;transform:translateX(-50%)}"
".wide .plot>div>div:nth-child(even) b{visibility:hidden}"
".wide .key{float:none;display:block}.key i:first-child{margin-left:0}"
".bars .name{width:58%}"
".lists,.lists tbody{display:block}.lists tr{display:grid;"
"grid-template-columns:repeat(6,1fr);gap:0 8px;padding-bottom:6px}"
".lists .name{grid-column:1/-1;max-width:100%}"
".lists td{width:auto;font-size:13px}}\n"
"</style>\n";

/* Text in HTML, also as the value of an attribute. */
static int
put_text(stralloc *out, char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '<' || c == '>' || c == '&' || c == '"' ||
		    c == '\'') {
			if (put(out, "&#%u;", c) == -1)
				return -1;
		} else if (put(out, "%c", c < 32 || c > 126 ? '?' : c) == -1) {
			return -1;
		}
	}
	return 1;
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

	while (ten < u / 10 + (u % 10 != 0))
		ten *= 10;
	while (round[i] * ten < u && i + 1 < sizeof round / sizeof *round)
		i++;
	return round[i] * ten;
}

/* In percent. */
static double
part(uint64_t u, uint64_t most)
{
	return (double)u * 100 / (double)most;
}

/* ---- rows: a name, a bar, its number */

/* A name, cut after two lines; all of it shows under the pointer. */
static int
put_name(stralloc *out, struct tally_entry const *e)
{
	if (put(out, "<tr><th class=\"name\" title=\"") == -1 ||
	    put_text(out, e->name, e->n) == -1 ||
	    put(out, "\"><span>") == -1 ||
	    put_text(out, e->name, e->n) == -1)
		return -1;
	return put(out, "</span></th>");
}

static int
put_rows(stralloc *out, char const *title, struct tally const *t,
    char const *class)
{
	size_t i;
	char fmt[32];

	if (put(out, "<section><h2>%s</h2>\n", title) == -1)
		return -1;
	if (!t->n)
		return put(out, "<p class=\"none\">None.</p></section>\n");
	if (put(out, "<table class=\"bars\">\n") == -1)
		return -1;
	for (i = 0; i < t->n && i < REPORTWORDS_TOP; i++) {
		uint64_t u = t->entry[i].count[0];

		if (put_name(out, t->entry + i) == -1 ||
		    put(out, "<td><i class=\"%s\" style=\"width:%.1f%%\"></i>"
		    "</td><td>%s</td></tr>\n", class,
		    part(u, t->entry[0].count[0]), grouped(fmt, u)) == -1)
			return -1;
	}
	return put(out, "</table></section>\n");
}

/* ---- columns */

/* A plot's head: the numbers at the lines behind its columns, from below. */
static int
put_plot(stralloc *out, char const *title, uint64_t most)
{
	char fmt[32];
	unsigned int i, parts = most % 4 == 0 ? 4 : most % 5 == 0 ? 5 :
	    most % 3 == 0 ? 3 : most % 2 == 0 ? 2 : 1;

	if (put(out, "<div class=\"plot\" role=\"img\" aria-label=\"%s\">\n"
	    "<p>", title) == -1)
		return -1;
	for (i = 0; i <= parts; i++)
		if (put(out, "<span>%s</span>",
		    grouped(fmt, most / parts * i)) == -1)
			return -1;
	return put(out, "</p>\n<div style=\"background-size:100%% %.4f%%\">\n",
	    100.0 / parts);
}

static int
put_column(stralloc *out, uint64_t u, uint64_t most, char const *class)
{
	if (!u)
		return put(out, "<i></i>");
	return put(out, "<i class=\"%s\" style=\"height:%.1f%%\"></i>",
	    class, part(u, most));
}

static int
put_steps(stralloc *out, char const *title, char const *const *name,
    uint64_t const *u)
{
	uint64_t most = scale(figures_highest(u, FIGURES_STEPS));
	char fmt[32];
	size_t i;

	if (put(out, "<section><h2>%s</h2>\n", title) == -1)
		return -1;
	if (!figures_highest(u, FIGURES_STEPS))
		return put(out, "<p class=\"none\">None.</p></section>\n");
	if (put_plot(out, title, most) == -1)
		return -1;
	for (i = 0; i < FIGURES_STEPS; i++)
		if (put(out, "<div title=\"%s: %s\">", name[i],
		    grouped(fmt, u[i])) == -1 ||
		    put_column(out, u[i], most, "in") == -1 ||
		    put(out, "<b>%s</b></div>\n", name[i]) == -1)
			return -1;
	return put(out, "</div></div></section>\n");
}

static int
put_hour(stralloc *out, struct figures const *f, size_t i, uint64_t most)
{
	if (put(out, "<div title=\"%02zu:00: %llu messages, %llu delivered, "
	    "%llu refused\">", i, (unsigned long long)f->in[i],
	    (unsigned long long)f->out[i],
	    (unsigned long long)f->refused[i]) == -1 ||
	    put_column(out, f->in[i], most, "in") == -1 ||
	    put_column(out, f->out[i], most, "out") == -1 ||
	    put_column(out, f->refused[i], most, "bad") == -1)
		return -1;
	return put(out, "<b>%02zu</b></div>\n", i);
}

static int
put_hours(stralloc *out, struct figures const *f)
{
	uint64_t const highest[] = {
		figures_highest(f->in, 24), figures_highest(f->out, 24),
		figures_highest(f->refused, 24)
	};
	uint64_t most = scale(figures_highest(highest, 3));
	size_t i;

	if (put(out, "<section class=\"wide\"><h2>By the hour"
	    "<span class=\"key\"><i class=\"in\"></i>messages"
	    "<i class=\"out\"></i>delivered<i class=\"bad\"></i>refused"
	    "</span></h2>\n") == -1 ||
	    put_plot(out, "By the hour", most) == -1)
		return -1;
	for (i = 0; i < 24; i++)
		if (put_hour(out, f, i, most) == -1)
			return -1;
	return put(out, "</div></div></section>\n");
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
	if (put_name(out, e) == -1)
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
	if (put(out, "<section class=\"wide\"><h2>DNS lists</h2>\n"
	    "<table class=\"lists\"><tr class=\"head\">"
	    "<th class=\"name\">list</th>") == -1)
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

/* How many of each check ended so; nothing if none did. */
static int
put_result(stralloc *out, struct figures const *f, enum logevent_result r)
{
	char fmt[32];
	size_t i;

	if (!figures_said(f, r))
		return 1;
	if (put(out, "<tr><th>%s</th>", logevent_results[r]) == -1)
		return -1;
	for (i = 0; i < LOGEVENT_CHECKS; i++)
		if (put(out, "<td>%s</td>", grouped(fmt, f->said[i][r])) == -1)
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
	if (put(out, "<section><h2>Senders checked</h2>\n"
	    "<table class=\"result\"><tr class=\"head\"><th>result</th>") == -1)
		return -1;
	for (i = 0; i < LOGEVENT_CHECKS; i++)
		if (put(out, "<td>%s</td>", reportwords_checks[i]) == -1)
			return -1;
	if (put(out, "</tr>\n") == -1)
		return -1;
	for (i = 0; i < LOGEVENT_RESULTS; i++)
		if (put_result(out, f, (enum logevent_result)i) == -1)
			return -1;
	if (put(out, "</table><p class=\"note\">Refused by "
	    "control/dmarcpolicy: %s, put off: %s</p></section>\n",
	    grouped(refused, f->count[FIGURE_SENDERS_REFUSED]),
	    grouped(put_off, f->count[FIGURE_SENDERS_PUT_OFF])) == -1)
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
	    put_text(out, r->host, strlen(r->host)) == -1 ||
	    put(out, ", %s</title>\n", r->day) == -1 ||
	    !stralloc_cats(out, style) ||
	    put(out, "</head><body><main>\n<header><h1>") == -1 ||
	    put_text(out, r->host, strlen(r->host)) == -1 ||
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
	    put(out, "<div class=\"sections\">\n") == -1 ||
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
