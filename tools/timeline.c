#include "tools/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/logtime.h"

static int
prepare(struct timeline *t)
{
	if (t->group)
		return 1;
	t->group = calloc(TIMELINE_GROUPS, sizeof *t->group);
	if (!t->group || tally_init(&t->joined, TIMELINE_IDS) == -1 ||
	    tally_init(&t->sessions, TIMELINE_GROUPS) == -1)
		return -1;
	t->joined.keep = t->sessions.keep = 1;
	return 1;
}

static int
new_group(struct timeline *t)
{
	if (t->groups < TIMELINE_GROUPS)
		return (int)t->groups++;
	t->truncated = 1;
	return TIMELINE_NONE;
}

int
timeline_group(struct timeline *t, struct logtext const *session)
{
	struct tally_entry *e = prepare(t) == 1 ?
	    tally_put(&t->sessions, session->s, session->n) : 0;
	int g;

	if (!e)
		return TIMELINE_NONE;
	if (e->count[0])
		return (int)e->count[0] - 1;
	g = new_group(t);
	if (g == TIMELINE_NONE)
		return g;
	e->count[0] = (uint64_t)g + 1;
	snprintf(t->group[g].session, sizeof t->group[g].session, "%.*s",
	    (int)session->n, session->s);
	return g;
}

void
timeline_join(struct timeline *t, int group, uint64_t id)
{
	struct tally_entry *e;

	if (group < 0 || prepare(t) == -1)
		return;
	e = tally_put(&t->joined, (char const *)&id, sizeof id);
	if (e && !e->count[0])
		e->count[0] = (uint64_t)group + 1;
	if (!t->group[group].id)
		t->group[group].id = id;
}

/* Without "session=...", which stands above all, and with nothing that could
 * steer a terminal.
 */
static char *
clean(struct logtext const *all, struct logtext const *session)
{
	char *out = malloc(all->n * 4 + 1);
	size_t i, n = 0;

	for (i = 0; out && i < all->n; i++) {
		unsigned char c = (unsigned char)all->s[i];

		if (session->n && all->s + i + 8 == session->s && n) {
			i += 7 + session->n;
			n -= out[n - 1] == ' ';
		} else if (c >= 32 && c < 127) {
			out[n++] = (char)c;
		} else {
			n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
		}
	}
	if (out)
		out[n] = 0;
	return out;
}

int
timeline_add(struct timeline *t, int group, char const *log, uint64_t us,
    struct logevent const *e, uint64_t id, struct logtext const *all)
{
	struct timeline_line *l;

	if (t->n == TIMELINE_LINES) {
		t->truncated = 1;
		return 0;
	}
	if (t->n == t->room) {
		l = realloc(t->line, (t->room * 2 + 64) * sizeof *l);
		if (!l)
			return -1;
		t->line = l;
		t->room = t->room * 2 + 64;
	}
	l = t->line + t->n;
	l->us = us;
	l->id = e->kind == LOGEVENT_QUEUED ? e->id : id;
	l->order = t->n;
	l->group = group;
	l->verdict = e->kind == LOGEVENT_END ? 'E' : e->verdict;
	l->log = log;
	l->text = clean(all, &e->session);
	if (!l->text || !(l->log = strdup(log)))
		return -1;
	t->n++;
	return 1;
}

static int
earlier(void const *a, void const *b)
{
	struct timeline_line const *x = a, *y = b;

	if (x->us != y->us)
		return x->us < y->us ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* Lines of a message without a session get a group of their own. */
static int
resolve(struct timeline *t, struct timeline_line *l)
{
	struct tally_entry *e = tally_put(&t->joined, (char const *)&l->id,
	    sizeof l->id);

	if (!e)
		return TIMELINE_NONE;
	if (!e->count[0]) {
		int g = new_group(t);

		if (g == TIMELINE_NONE)
			return g;
		t->group[g].id = l->id;
		e->count[0] = (uint64_t)g + 1;
	}
	return (int)e->count[0] - 1;
}

static struct timeline_group const *groups;	/* for qsort */

static int
by_group(void const *a, void const *b)
{
	struct timeline_line const *x = a, *y = b;

	if (x->group != y->group) {
		uint64_t p = groups[x->group].first;
		uint64_t q = groups[y->group].first;

		if (p != q)
			return p < q ? -1 : 1;
		return x->group < y->group ? -1 : 1;
	}
	return earlier(a, b);
}

int
timeline_sort(struct timeline *t)
{
	size_t i, kept = 0;

	if (!t->n)
		return 1;
	if (prepare(t) == -1)
		return -1;
	qsort(t->line, t->n, sizeof *t->line, earlier);
	for (i = 0; i < t->n; i++) {
		struct timeline_line *l = t->line + i;
		struct timeline_group *g;

		if (l->group == TIMELINE_LATER)
			l->group = resolve(t, l);
		if (l->group == TIMELINE_NONE)
			continue;
		g = t->group + l->group;
		if (!g->first)
			g->first = l->us;
		t->line[kept++] = *l;
	}
	t->n = kept;
	groups = t->group;
	qsort(t->line, t->n, sizeof *t->line, by_group);
	return 1;
}

/* What became of a message, by the lines at hand. */
static void
put_fate(struct timeline const *t, size_t from, size_t to, uint64_t id)
{
	unsigned int done = 0, failed = 0, later = 0, ended = 0;
	uint64_t first = 0, last = 0;
	size_t i;

	for (i = from; i < to; i++) {
		struct timeline_line const *l = t->line + i;

		if (l->id != id)
			continue;
		done += l->verdict == 'K';
		failed += l->verdict == 'D';
		later += l->verdict == 'Z';
		ended += l->verdict == 'E';
		if (!first)
			first = l->us;
		last = l->us;
	}
	printf("  = message %llu: %u delivered, %u failed, %u put off; ",
	    (unsigned long long)id, done, failed, later);
	if (ended)
		printf("finished after %.3f s\n", (last - first) / 1e6);
	else
		printf("not finished\n");
}

static void
put_fates(struct timeline const *t, size_t from, size_t to)
{
	size_t i, j;

	for (i = from; i < to; i++) {
		for (j = from; j < i && t->line[j].id != t->line[i].id; j++)
			;
		if (t->line[i].id && j == i)
			put_fate(t, from, to, t->line[i].id);
	}
}

static void
put_head(struct timeline_group const *g, int first)
{
	char time[LOGTIME_FMT + 1];

	time[logtime_fmt(time, g->first)] = 0;
	if (*g->session)
		printf("%ssession %s, %s\n", first ? "" : "\n", g->session,
		    time);
	else
		printf("%smessage %llu, %s\n", first ? "" : "\n",
		    (unsigned long long)g->id, time);
}

/* "2026-11-25 22:41:12.133    +0.004  smtpd   TEXT" */
static void
put_line(struct timeline_line const *l, uint64_t first)
{
	char time[LOGTIME_FMT + 1];

	time[l->us ? logtime_fmt(time, l->us) : 0] = 0;
	printf("  %-23s %+10.3f  %-8s %s\n", time,
	    ((double)l->us - (double)first) / 1e6, l->log, l->text);
}

int
timeline_text(struct timeline const *t)
{
	size_t i, from = 0;

	for (i = 0; i < t->n; i++) {
		struct timeline_group const *g = t->group + t->line[i].group;

		if (!i || t->line[i].group != t->line[i - 1].group) {
			if (i)
				put_fates(t, from, i);
			put_head(g, !i);
			from = i;
		}
		put_line(t->line + i, g->first);
	}
	if (t->n)
		put_fates(t, from, t->n);
	return fflush(stdout) == 0 ? 1 : -1;
}

/* ---- JSON */

static void
put_string(char const *name, char const *s)
{
	printf("\"%s\":\"", name);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 32 || c > 126)
			printf("\\u%04x", c);
		else
			printf(c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	printf("\"");
}

static void
put_event(struct timeline_line const *l)
{
	char time[LOGTIME_FMT + 1];

	printf("{");
	if (l->us) {
		time[logtime_fmt_utc(time, l->us)] = 0;
		put_string("time", time);
		printf(",");
	}
	/* more than 53 bits: a string, or readers would round it */
	if (l->id)
		printf("\"message\":\"%llu\",", (unsigned long long)l->id);
	put_string("log", l->log);
	printf(",");
	put_string("text", l->text);
	printf("}");
}

int
timeline_json(struct timeline const *t, char const *asked)
{
	size_t i;

	printf("{");
	put_string("asked", asked);
	printf(",\"traces\":[");
	for (i = 0; i < t->n; i++) {
		int same = i && t->line[i].group == t->line[i - 1].group;

		if (!same) {
			printf(i ? "]},\n{" : "\n{");
			put_string("session", t->group[t->line[i].group].
			    session);
			printf(",\"events\":[\n");
		} else {
			printf(",\n");
		}
		put_event(t->line + i);
	}
	printf(t->n ? "]}]}\n" : "]}\n");
	return fflush(stdout) == 0 ? 1 : -1;
}
