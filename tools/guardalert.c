#include "tools/guardalert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <skalibs/strerr.h>

#include "lib/date822.h"
#include "lib/enqueue.h"

enum { EVIDENCE = 10 };

void
guardalert_saw(struct guardalert *a, struct guardread_message const *m,
    uint64_t us)
{
	struct guardread_message *to;

	if (!a->recent)
		a->recent = calloc(GUARDALERT_RECENT, sizeof *a->recent);
	if (!a->recent)
		return;		/* evidence is not worth more */
	to = a->recent + a->saw++ % GUARDALERT_RECENT;
	*to = *m;
	to->us = us;
}

char const *
guardalert_kind(char const *name)
{
	return *name == 'u' ? "user" : *name == 'c' ? "client" : "sender";
}

static void
stamp(char out[24], uint64_t t)
{
	time_t when = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&when, &tm) ||
	    !strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm))
		out[0] = 0;
}

int
guardalert_line(char *out, size_t room, char const *name, uint64_t until,
    uint32_t count)
{
	char t[24];
	int n;

	stamp(t, until);
	n = snprintf(out, room, "%s %s until %s (%lu messages)\n",
	    guardalert_kind(name), name + 1, t, (unsigned long)count);
	return n < 0 ? 0 : (size_t)n < room ? n : (int)room - 1;
}

/* Is it one of those that were counted under that name? */
static int
is_of(struct guardread_message const *m, char const *name)
{
	struct ipaddr net;
	size_t n = strcspn(name + 1, "/");

	if (*name == 'u')
		return !strcasecmp(m->user, name + 1);
	if (*name == 's')
		return !strcasecmp(m->from, name + 1);
	return m->has_ip && !*m->user &&
	    ipaddr_scan(name + 1, n, &net) == 1 &&
	    ipaddr_within(&m->ip, &net, ipaddr_is4(&net) ? 32 : 64);
}

static int
put_message(stralloc *out, struct guardread_message const *m)
{
	char t[24], ip[IPADDR_FMT] = "unknown", line[900];
	int n;

	stamp(t, m->us / 1000000);
	if (m->has_ip)
		ipaddr_fmt(ip, &m->ip);
	n = snprintf(line, sizeof line, "    %s %s from <%s> to <%s>%s%s%s%s\n",
	    t, ip, m->from, m->to, *m->user ? " user " : "", m->user,
	    *m->session ? " session " : "", m->session);
	return n > 0 && stralloc_catb(out, line, (size_t)n < sizeof line ?
	    (size_t)n : sizeof line - 1) ? 1 : -1;
}

static int
put_evidence(struct guardalert *a, char const *name)
{
	uint64_t i, least = a->saw > GUARDALERT_RECENT ?
	    a->saw - GUARDALERT_RECENT : 0;
	unsigned int n = 0;

	for (i = a->recent ? a->saw : 0; i > least && n < EVIDENCE; i--) {
		struct guardread_message const *m =
		    a->recent + (i - 1) % GUARDALERT_RECENT;

		if (!is_of(m, name))
			continue;
		n++;
		if (put_message(&a->text, m) == -1)
			return -1;
	}
	return 1;
}

int
guardalert_add(struct guardalert *a, char const *name, uint32_t n,
    unsigned int window, uint64_t until, char const *why)
{
	char line[600], t[24];
	int len;

	stamp(t, until);
	len = snprintf(line, sizeof line, "%s %s: %lu messages in %u s%s%s%s%s",
	    guardalert_kind(name), name + 1, (unsigned long)n, window,
	    until ? ", blocked until " : "", until ? t : "",
	    why ? ", not blocked: " : "", why ? why : "");
	if (len < 0)
		return -1;
	if (!a->items)
		snprintf(a->about, sizeof a->about, "%s %.300s",
		    until ? "blocked:" : "over the limit:", name + 1);
	if (a->items++ >= GUARDALERT_ITEMS)
		return 1;
	if (!stralloc_cats(&a->text, line) || !stralloc_cats(&a->text, "\n") ||
	    put_evidence(a, name) == -1)
		return -1;
	if (until && (!stralloc_cats(&a->text, "    to lift it: spamguard "
	    "-u ") || !stralloc_cats(&a->text, name + 1) ||
	    !stralloc_cats(&a->text, "\n")))
		return -1;
	return stralloc_cats(&a->text, "\n") ? 1 : -1;
}

static int
put_head(stralloc *out, struct guardalert const *a, struct guardconf const *c,
    uint64_t now)
{
	char date[DATE822_LEN + 1], more[80] = "";

	date[date822(date, now)] = 0;
	if (a->items > 1)
		snprintf(more, sizeof more, " and %u more", a->items - 1);
	return stralloc_cats(out, "Date: ") && stralloc_cats(out, date) &&
	    stralloc_cats(out, "\nFrom: spamguard@") &&
	    stralloc_cats(out, c->hostname) &&
	    stralloc_cats(out, "\nTo: ") && stralloc_cats(out, c->sysadmin) &&
	    stralloc_cats(out, "\nAuto-Submitted: auto-generated\nSubject: ["
	    "spamguard] ") && stralloc_cats(out, a->about) &&
	    stralloc_cats(out, more) && stralloc_cats(out, "\n\n") ? 1 : -1;
}

static int
put_held(stralloc *out, struct guardalert const *a)
{
	char line[160];

	if (!a->held && a->items <= GUARDALERT_ITEMS)
		return 1;
	snprintf(line, sizeof line, "%llu more were not told, by the limit of "
	    "alerts an hour or of one mail: see spamguard -l.\n",
	    (unsigned long long)a->held + (a->items > GUARDALERT_ITEMS ?
	    a->items - GUARDALERT_ITEMS : 0));
	return stralloc_cats(out, line) ? 1 : -1;
}

int
guardalert_send(struct guardalert *a, struct guardconf const *c, uint64_t now)
{
	static enqueue q;
	stralloc env = STRALLOC_ZERO, m = STRALLOC_ZERO;

	if (!a->items)
		return 1;
	if (a->hour != now / 3600) {
		a->hour = now / 3600;
		a->sent = 0;
	}
	if (a->sent >= c->alerts) {
		a->held += a->items;
		return 1;
	}
	if (!stralloc_copyb(&env, "F\0T", 3) ||
	    !stralloc_cats(&env, c->sysadmin) || !stralloc_0(&env) ||
	    put_head(&m, a, c, now) == -1 || !stralloc_cat(&m, &a->text) ||
	    put_held(&m, a) == -1) {
		strerr_warnw1x("out of memory, alert not sent");
		return -1;
	}
	if (enqueue_open(&q) == 1) {
		enqueue_put(&q, m.s, m.len);
		if (enqueue_close(&q, &env) == QUEUE_OK) {
			a->sent++;
			a->held = 0;
			return 1;
		}
	}
	a->held += a->items;
	strerr_warnw2x("alert not sent: ", enqueue_reply(&q));
	return -1;
}

int
guardalert_save(struct guardalert const *a, stralloc *out)
{
	char fmt[100];

	snprintf(fmt, sizeof fmt, "alerts %llu %llu %llu\n",
	    (unsigned long long)a->hour, (unsigned long long)a->sent,
	    (unsigned long long)a->held);
	return stralloc_cats(out, fmt) ? 1 : -1;
}

int
guardalert_load(struct guardalert *a, char *s)
{
	a->hour = strtoull(s, &s, 10);
	a->sent = strtoull(s, &s, 10);
	a->held = strtoull(s, &s, 10);
	return 1;
}
