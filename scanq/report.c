#include "scanq/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/date822.h"
#include "lib/log.h"
#include "lib/message.h"

enum {
	NOTES = 8,		/* findings that X-Postern-Scan names */
	NOTE = 100,		/* bytes of each */
	HEADERS = 8192,		/* bytes of a header that an alert shows */
	RECIPIENTS = 50		/* that an alert names */
};

static int
put(stralloc *out, char const *s)
{
	return stralloc_cats(out, s) ? 1 : -1;
}

/* Printable, and no longer than most. */
static int
put_clean(stralloc *out, char const *s, size_t n, size_t most)
{
	size_t i;
	char c;

	for (i = 0; i < n && i < most; i++) {
		c = s[i] < 32 || s[i] > 126 ? '?' : s[i];
		if (!stralloc_append(out, c))
			return -1;
	}
	return 1;
}

int
report_received(stralloc *out, uint64_t now)
{
	char text[200], date[DATE822_LEN + 1];
	char const *session = getenv("POSTERN_SESSION");

	date[date822(date, now)] = 0;
	snprintf(text, sizeof text, "Received: (scanq %lu invoked by uid %lu",
	    (unsigned long)getpid(), (unsigned long)getuid());
	if (put(out, text) == -1)
		return -1;
	if (session && (put(out, ", session ") == -1 || message_safe(out,
	    session, strlen(session) < 40 ? strlen(session) : 40) == -1))
		return -1;
	return put(out, ");\n  ") == 1 && put(out, date) == 1 ?
	    put(out, "\n") : -1;
}

/* Hours since the signatures were made: "ClamAV 1.4.6/27123/Sun Nov 22
 * 08:00:00 2026", in clamd's own time zone.  1, 0.
 */
static int
signature_age(stralloc const *version, uint64_t now, unsigned int *hours)
{
	static char const months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char const *s = version->len ? strrchr(version->s, '/') : 0, *m;
	char month[4];
	struct tm tm;
	time_t t;

	memset(&tm, 0, sizeof tm);
	if (!s || sscanf(s + 1, "%*3s %3s %d %d:%d:%d %d", month, &tm.tm_mday,
	    &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year) != 6)
		return 0;
	m = strstr(months, month);
	if (!m || tm.tm_year < 2000)
		return 0;
	tm.tm_mon = (int)(m - months) / 3;
	tm.tm_year -= 1900;
	t = timegm(&tm);
	*hours = t > 0 && (uint64_t)t < now ?
	    (unsigned int)((now - (uint64_t)t) / 3600) : 0;
	return 1;
}

static int
put_clamd(stralloc *out, struct report const *r)
{
	struct scan const *s = r->scan;
	unsigned int hours;
	char text[40];

	if (s->mode == VIRUS_OFF)
		return put(out, ";\n  virus scan off");
	if (s->failed)
		return put(out, ";\n  virus scan FAILED");
	if (!s->asked)
		return put(out, ";\n  no virus scan");
	if (put(out, ";\n  ") == -1)
		return -1;
	if (!s->version.len)
		return put(out, "clamd, version unknown");
	if (put_clean(out, s->version.s, s->version.len - 1, 120) == -1)
		return -1;
	if (!signature_age(&s->version, r->now, &hours))
		return put(out, ", signatures of unknown age");
	snprintf(text, sizeof text, ", signatures %u h old", hours);
	return put(out, text);
}

static int
put_notes(stralloc *out, struct judge const *j)
{
	struct finding const *f = j->finding;
	size_t notes = 0;

	for (; f < j->finding + j->findings && notes < NOTES; f++) {
		if (f->action < ACTION_HEADER)
			continue;
		notes++;
		if (put(out, ";\n  ") == -1 ||
		    put_clean(out, f->text.s, f->text.len - 1, NOTE) == -1)
			return -1;
		if (f->about.len > 1 && (put(out, " (") == -1 ||
		    put_clean(out, f->about.s, f->about.len - 1, NOTE) == -1 ||
		    put(out, ")") == -1))
			return -1;
	}
	return 1;
}

/* The line for filters of the recipients. */
static int
put_spam(stralloc *out, struct spamd const *d)
{
	char score[24], threshold[24];

	if (d->state == SPAMD_OFF || d->state == SPAMD_NOT_ASKED)
		return 1;
	if (d->state != SPAMD_ASKED)
		return put(out, "X-Postern-Spam: unknown\n");
	score[spamd_format(score, d->reply.score)] = 0;
	threshold[spamd_format(threshold, d->reply.threshold)] = 0;
	return put(out, d->reply.spam ? "X-Postern-Spam: yes; score " :
	    "X-Postern-Spam: no; score ") == 1 && put(out, score) == 1 &&
	    put(out, "; threshold ") == 1 && put(out, threshold) == 1 ?
	    put(out, "\n") : -1;
}

int
report_header(stralloc *out, struct report const *r)
{
	char text[160], date[DATE822_LEN + 1];
	struct scan const *s = r->scan;

	date[date822(date, r->now)] = 0;
	snprintf(text, sizeof text, "X-Postern-Scan: %s; %s; %lu ms",
	    s->failed ? "not-scanned" : s->judge.worst >= ACTION_HEADER ?
	    "noted" : "clean", date,
	    (unsigned long)(clock_ms() - r->started));
	if (put(out, text) == -1 || put_clamd(out, r) == -1 ||
	    put_notes(out, &s->judge) == -1 || put(out, "\n") == -1)
		return -1;
	return put_spam(out, &s->spamd);
}

static size_t
recipients(stralloc const *env, char const **first)
{
	size_t i = strlen(env->s) + 1, n = 0;

	*first = i < env->len ? env->s + i + 1 : "";
	for (; i < env->len; i += strlen(env->s + i) + 1)
		n++;
	return n;
}

static void
log_trouble(char const *who, struct talk const *t)
{
	log_string(who, t->at ? t->at : "");
	log_string("trouble", t->why);
	if (t->answer[0])
		log_string("answer", t->answer);
	if (t->error)
		log_errno(t->error);
}

static void
log_clamd(struct scan const *s)
{
	if (s->mode == VIRUS_OFF)
		log_string("virus", "off");
	else if (s->failed)
		log_string("virus", "failed");
	else if (s->signature.len)
		log_value("virus", s->signature.s, s->signature.len);
	else
		log_string("virus", s->asked ? "none" : "not-asked");
	if (s->failed)
		log_trouble("clamd", &s->clamd.talk);
}

static void
log_spamd(struct spamd const *d)
{
	static char const *const word[] = {
		[SPAMD_NOT_ASKED] = "not-asked",
		[SPAMD_TOO_LARGE] = "too-large", [SPAMD_FAILED] = "failed"
	};
	char text[24];

	if (d->state == SPAMD_ASKED)
		log_value("spam", text, spamd_format(text, d->reply.score));
	else if (d->state != SPAMD_OFF)
		log_string("spam", word[d->state]);
	if (d->state == SPAMD_FAILED)
		log_trouble("spamd", &d->talk);
}

void
report_log(struct report const *r)
{
	struct judge const *j = &r->scan->judge;
	char const *first;
	size_t i, n = recipients(r->envelope, &first);

	log_start(r->scan->failed || r->scan->spamd.state == SPAMD_FAILED ?
	    "warning" : "info", r->action);
	log_path("from", j->sender.s, j->sender.n);
	log_path("to", first, strlen(first));
	if (n > 1)
		log_number("recipients", n);
	log_number("size", r->intake->size);
	log_number("ms", clock_ms() - r->started);
	log_clamd(r->scan);
	log_spamd(&r->scan->spamd);
	for (i = 0; i < j->findings; i++) {
		log_string(rule_action_name(j->finding[i].action),
		    j->finding[i].text.s);
		if (j->finding[i].about.len > 1)
			log_string("in", j->finding[i].about.s);
	}
	log_end();
}

int
report_reason(stralloc *out, struct scan const *s)
{
	struct finding const *f = s->judge.finding + s->judge.worst_at;

	if (put_clean(out, f->text.s, f->text.len - 1, 120) == -1)
		return -1;
	if (f->about.len <= 1)
		return 1;
	return put(out, ": ") == 1 ?
	    put_clean(out, f->about.s, f->about.len - 1, 100) : -1;
}

/* ---- the alert */

static int
put_envelope(stralloc *out, stralloc const *env)
{
	size_t i, n = 0;

	for (i = 0; i < env->len; i += strlen(env->s + i) + 1) {
		if (env->s[i] == 'T' && ++n > RECIPIENTS)
			continue;
		if (put(out, env->s[i] == 'F' ? "MAIL FROM: " :
		    "RCPT TO:   ") == -1 || put_clean(out, env->s + i + 1,
		    strlen(env->s + i + 1), 300) == -1 || put(out, "\n") == -1)
			return -1;
	}
	return n > RECIPIENTS ? put(out, "(and more recipients)\n") : 1;
}

/* The header, without what is not printable. */
static int
put_headers(stralloc *out, char const *s, size_t n)
{
	char const *end = memmem(s, n, "\n\n", 2);
	size_t i;

	if (end)
		n = (size_t)(end - s) + 1;
	if (n > HEADERS)
		n = HEADERS;
	for (i = 0; i < n; i++) {
		char c = s[i] == '\n' || s[i] == '\t' ||
		    (s[i] >= 32 && s[i] < 127) ? s[i] : '?';

		if (!stralloc_append(out, c))
			return -1;
	}
	return 1;
}

static int
put_findings(stralloc *out, struct scan const *s)
{
	struct finding const *f = s->judge.finding;

	if (put(out, "--- scanq results ---\n") == -1)
		return -1;
	for (; f < s->judge.finding + s->judge.findings; f++) {
		if (put(out, rule_action_name(f->action)) == -1 ||
		    put(out, ": problem '") == -1 ||
		    put_clean(out, f->text.s, f->text.len - 1, 200) == -1 ||
		    put(out, "' found in message") == -1)
			return -1;
		if (f->about.len > 1 && (put(out, ": ") == -1 ||
		    put_clean(out, f->about.s, f->about.len - 1, 200) == -1))
			return -1;
		if (put(out, "\n") == -1)
			return -1;
	}
	return 1;
}

static int
put_top(stralloc *out, struct report const *r, char const *to,
    char const *host)
{
	char date[DATE822_LEN + 1], id[80];

	date[date822(date, r->now)] = 0;
	snprintf(id, sizeof id, "%llu.%lu.scanq",
	    (unsigned long long)r->now, (unsigned long)getpid());
	return put(out, "From: Mail scanner <postmaster@") == 1 &&
	    put(out, host) == 1 && put(out, ">\nTo: ") == 1 &&
	    put(out, to) == 1 && put(out, "\nDate: ") == 1 &&
	    put(out, date) == 1 && put(out, "\nMessage-ID: <") == 1 &&
	    put(out, id) == 1 && put(out, "@") == 1 && put(out, host) == 1 &&
	    put(out, ">\nAuto-Submitted: auto-generated\n"
	    "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n"
	    "Subject: ") == 1 && put(out, r->action) == 1 &&
	    put(out, ": ") == 1 && report_reason(out, r->scan) == 1 ?
	    put(out, "\n\n") : -1;
}

static int
put_body(stralloc *out, struct report const *r, char const *to,
    char const *host, char const *kept)
{
	if (put(out, "Attention: ") == -1 || put(out, to) == -1 ||
	    put(out, "\n\nA problem was found in an Email message.\n\n"
	    "This Email scanner intercepted it and stopped the entire message"
	    "\nbefore it reached its destination.\n\n"
	    "The problem was reported to be:\n\n  ") == -1 ||
	    report_reason(out, r->scan) == -1 ||
	    put(out, "\n\nThe message had the following envelope:\n\n") == -1 ||
	    put_envelope(out, r->envelope) == -1 ||
	    put(out, "\n... and with the following headers:\n\n") == -1 ||
	    put_headers(out, r->intake->message, r->intake->size) == -1)
		return -1;
	if (*kept) {
		if (put(out, "\nThe original message is kept in:\n\n  ") ==
		    -1 || put(out, host) == -1 || put(out, ":") == -1 ||
		    put(out, kept) == -1 ||
		    put(out, "\n\nwhere quarantine(8) shows it, lets it go, or "
		    "deletes it.\n") == -1)
			return -1;
	} else if (put(out, "\nThe original message has not been kept.\n") ==
	    -1) {
		return -1;
	}
	return put(out, "\nThe Email scanner reported the following when it "
	    "scanned that message:\n\n") == 1 ?
	    put_findings(out, r->scan) : -1;
}

int
report_alert(stralloc *out, struct report const *r, char const *to,
    char const *host, char const *kept, stralloc const *digest)
{
	if (put_top(out, r, to, host) == -1 ||
	    put_body(out, r, to, host, kept) == -1)
		return -1;
	if (!digest->len)
		return 1;
	return put(out, "\n") == 1 &&
	    stralloc_catb(out, digest->s, digest->len) ? 1 : -1;
}

int
report_notice(stralloc *out, struct report const *r, char const *host)
{
	stralloc const *env = r->envelope;

	return put_top(out, r, "undisclosed-recipients:;", host) == 1 &&
	    put(out, "A message to you was kept by the mail scanner of this "
	    "server, because of:\n\n  ") == 1 &&
	    report_reason(out, r->scan) == 1 &&
	    put(out, "\n\nIts sender, if that is not forged, is\n\n  <") == 1 &&
	    put_clean(out, env->s + 1, strlen(env->s + 1), 300) == 1 &&
	    put(out, ">\n\nIf you need it, ask the administrator, "
	    "postmaster@") == 1 && put(out, host) == 1 ?
	    put(out, ", who can let it go.\n") : -1;
}
