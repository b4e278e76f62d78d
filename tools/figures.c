#include "tools/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAMES = 8192, MESSAGES = 65536, REASONS = 256 };
enum { LIST_NUMBERS = sizeof(struct figures_list) / sizeof(uint64_t) };

#define HOUR UINT64_C(3600)

uint64_t const figures_delays[FIGURES_STEPS - 1] = {
	1, 10, 60, 10 * 60, HOUR, 6 * HOUR, 24 * HOUR
};
uint64_t const figures_ages[FIGURES_STEPS - 1] = {
	HOUR / 4, HOUR, 4 * HOUR, 24 * HOUR, 48 * HOUR, 96 * HOUR, 168 * HOUR
};
uint64_t const figures_answers[FIGURES_STEPS - 1] = {
	10, 50, 100, 250, 500, 1000, 2000
};
char const *const figures_names[FIGURES] = {
	"connections", "denied", "queued", "messages", "bytes", "recipients",
	"refused", "viruses", "local-success", "local-deferral",
	"local-failure", "remote-success", "remote-deferral",
	"remote-failure", "bounces", "logins", "logins-refused",
	"senders-accepted", "senders-refused", "senders-put-off"
};

int
figures_init(struct figures *f)
{
	memset(f, 0, sizeof *f);
	if (tally_init(&f->reasons, REASONS) == -1 ||
	    tally_init(&f->senders, NAMES) == -1 ||
	    tally_init(&f->destinations, NAMES) == -1 ||
	    tally_init(&f->clients, NAMES) == -1 ||
	    tally_init(&f->viruses, NAMES) == -1 ||
	    tally_init(&f->authors, NAMES) == -1 ||
	    tally_init(&f->open, MESSAGES) == -1 ||
	    tally_init(&f->running, NAMES) == -1 ||
	    tally_init(&f->domain, NAMES) == -1 ||
	    tally_init(&f->lists, FIGURES_LISTS) == -1)
		return -1;
	/* their entries are numbered */
	f->domain.keep = f->lists.keep = 1;
	return 1;
}

static int
within(struct figures const *f, uint64_t us)
{
	return !f->to || (us >= f->from && us < f->to);
}

static unsigned int
hour(uint64_t us)
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;

	return localtime_r(&t, &tm) ? (unsigned int)tm.tm_hour % 24 : 0;
}

static size_t
step_of(uint64_t const *ends, uint64_t u)
{
	size_t i = 0;

	while (i < FIGURES_STEPS - 1 && u > ends[i])
		i++;
	return i;
}

/* The names of our messages are nanoseconds since 1970; of others we know
 * when we first heard of them.
 */
static uint64_t
birth(uint64_t id, uint64_t us)
{
	return id > UINT64_C(1000000000000000000) && id / 1000 <= us ?
	    id / 1000 : us;
}

static struct tally_entry *
number_put(struct tally *t, uint64_t u)
{
	return tally_put(t, (char const *)&u, sizeof u);
}

static void
refuse(struct figures *f, uint64_t us, struct logevent const *e)
{
	char name[TALLY_NAME];
	int n;

	f->count[FIGURE_REFUSED]++;
	f->refused[hour(us)]++;
	if (e->ip.n)
		tally_add(&f->clients, e->ip.s, e->ip.n, 1);
	n = snprintf(name, sizeof name, "%s%.*s",
	    e->kind == LOGEVENT_DENY ? "connection: " :
	    e->kind == LOGEVENT_SCANNED ? "scan: " :
	    logevent_is(&e->program, "rblcheck") ? "list: " : "",
	    e->reason.n > 200 ? 200 : (int)e->reason.n,
	    e->reason.n ? e->reason.s : "");
	if (!e->reason.n)
		n += snprintf(name + n, sizeof name - (size_t)n, "unnamed");
	tally_add(&f->reasons, name, (size_t)n, 1);
}

static int
is_virus(struct logtext const *v)
{
	return v->n && !logevent_is(v, "none") && !logevent_is(v, "off") &&
	    !logevent_is(v, "failed") && !logevent_is(v, "not-asked");
}

static void
scanned(struct figures *f, uint64_t us, struct logevent const *e)
{
	struct logevent r = *e;

	if (is_virus(&e->virus)) {
		f->count[FIGURE_VIRUSES]++;
		tally_add(&f->viruses, e->virus.s, e->virus.n, 1);
		if (!r.reason.n) {
			r.reason.s = "virus";
			r.reason.n = 5;
		}
	}
	if (logevent_is(&e->action, "refused") ||
	    logevent_is(&e->action, "quarantined") ||
	    logevent_is(&e->action, "discarded"))
		refuse(f, us, &r);
}

/* What is refused for it smtpd refuses, in a line of its own. */
static void
sender(struct figures *f, struct logevent const *e)
{
	enum logevent_result r;
	unsigned int i;

	for (i = 0; i < LOGEVENT_CHECKS; i++) {
		r = logevent_result(&e->said[i]);
		if (r != LOGEVENT_RESULTS)
			f->said[i][r]++;
	}
	if (e->author.n && logevent_result(&e->said[LOGEVENT_DMARC]) ==
	    LOGEVENT_FAIL)
		tally_add(&f->authors, e->author.s, e->author.n, 1);
	f->count[logevent_is(&e->outcome, "accepted") ?
	    FIGURE_SENDERS_ACCEPTED : logevent_is(&e->outcome, "refused") ?
	    FIGURE_SENDERS_REFUSED : FIGURE_SENDERS_PUT_OFF]++;
}

/* The counters of a DNS list; 0: there are too many. */
static struct figures_list *
list_put(struct figures *f, char const *s, size_t n)
{
	struct tally_entry *e = tally_put(&f->lists, s, n);

	return e ? f->list + (e - f->lists.entry) : 0;
}

/* How fast a list is tell only answers: one that failed took as long as it
 * was given. */
static void
checked(struct figures *f, struct logevent const *e)
{
	struct logtext rest = e->text;
	struct logevent_answer a;
	struct figures_list *l;

	while (logevent_answer(&rest, &a)) {
		l = list_put(f, a.list.s, a.list.n);
		if (!l)
			continue;
		l->said[a.said]++;
		if (!a.has_ms || a.said == LOGEVENT_FAILED)
			continue;
		l->step[step_of(figures_answers, a.ms)]++;
		l->ms += a.ms;
	}
}

static void
message(struct figures *f, uint64_t us, struct logevent const *e)
{
	uint64_t born = birth(e->id, us);
	struct tally_entry *m = tally_get(&f->open, (char const *)&e->id,
	    sizeof e->id);

	/* send tells again of what it finds at its start */
	if (m && m->count[1])
		return;
	m = number_put(&f->open, e->id);
	if (m) {
		m->count[0] = born;
		m->count[1] = 1;
	}
	if (!within(f, born))
		return;
	f->count[FIGURE_MESSAGES]++;
	f->count[FIGURE_BYTES] += e->size;
	f->in[hour(us)]++;
	tally_add(&f->senders, e->from.n ? e->from.s : "(bounces)",
	    e->from.n ? e->from.n : 9, 1);
}

static void
starting(struct figures *f, uint64_t us, struct logevent const *e)
{
	struct tally_entry *d = number_put(&f->running, e->number);
	struct tally_entry *m = number_put(&f->open, e->id), *to;
	char const *at = e->to.n ? memrchr(e->to.s, '@', e->to.n) : 0;
	size_t n = at ? (size_t)(e->to.s + e->to.n - at) - 1 : 0;

	if (m && !m->count[0])
		m->count[0] = birth(e->id, us);
	if (!d)
		return;
	d->count[0] = e->id;
	d->count[1] = (uint64_t)e->remote;
	/* where to, as a name that outlives the line */
	to = n ? tally_put(&f->domain, at + 1, n) :
	    tally_put(&f->domain, "(local)", 7);
	d->count[2] = to ? (uint64_t)(to - f->domain.entry) + 1 : 0;
}

static void
ended(struct figures *f, uint64_t us, struct logevent const *e)
{
	struct tally_entry *d = tally_get(&f->running,
	    (char const *)&e->number, sizeof e->number);
	struct tally_entry *m, *to = 0;
	uint64_t delay, id;
	int which;

	which = d && d->count[1] ? FIGURE_REMOTE_SUCCESS :
	    FIGURE_LOCAL_SUCCESS;
	f->count[which + (e->verdict == 'Z' ? 1 : e->verdict == 'D' ? 2 : 0)]++;
	if (!d)
		return;
	id = d->count[0];
	d->count[0] = 0;	/* the first to leave when the table is full */
	if (e->verdict != 'K')
		return;
	f->out[hour(us)]++;
	m = tally_get(&f->open, (char const *)&id, sizeof id);
	if (d->count[2] && d->count[2] <= f->domain.n)
		to = f->domain.entry + d->count[2] - 1;
	if (to)
		tally_add(&f->destinations, to->name, to->n, 1);
	delay = m && us > m->count[0] ? (us - m->count[0]) / 1000000 :
	    (us - birth(id, us)) / 1000000;
	f->seconds += delay;
	f->delay[step_of(figures_delays, delay)]++;
}

/* What must be known of the time before. */
static void
remember(struct figures *f, uint64_t us, struct logevent const *e)
{
	struct tally_entry *m;

	if (e->kind == LOGEVENT_START)
		starting(f, us, e);
	if (e->kind == LOGEVENT_END) {
		m = tally_get(&f->open, (char const *)&e->id, sizeof e->id);
		if (m) {
			m->count[0] = 0;
			m->count[2] = 1;
		}
	}
	if (e->kind == LOGEVENT_INFO)
		message(f, us, e);
}

static void
count(struct figures *f, uint64_t us, struct logevent const *e)
{
	switch (e->kind) {
	case LOGEVENT_CONNECT: f->count[FIGURE_CONNECTIONS]++; break;
	case LOGEVENT_DENY:
		f->count[FIGURE_DENIED]++;
		refuse(f, us, e);
		break;
	case LOGEVENT_ACCEPTED:
		/* smtpd has a line for each, qmtpd says how many */
		f->count[FIGURE_RECIPIENTS] += e->number ? e->number : 1;
		break;
	case LOGEVENT_REFUSED: refuse(f, us, e); break;
	case LOGEVENT_CHECKED: checked(f, e); break;
	case LOGEVENT_SENDER: sender(f, e); break;
	case LOGEVENT_QUEUED: f->count[FIGURE_QUEUED]++; break;
	case LOGEVENT_SCANNED: scanned(f, us, e); break;
	case LOGEVENT_LOGIN:
		f->count[logevent_is(&e->action, "accepted") ?
		    FIGURE_LOGINS : FIGURE_LOGINS_REFUSED]++;
		break;
	case LOGEVENT_DONE: ended(f, us, e); break;
	case LOGEVENT_BOUNCE: f->count[FIGURE_BOUNCES]++; break;
	default: break;
	}
}

void
figures_event(struct figures *f, uint64_t us, struct logevent const *e)
{
	if (f->to && us >= f->to)
		return;
	remember(f, us, e);
	if (within(f, us))
		count(f, us, e);
}

void
figures_end(struct figures *f, uint64_t now)
{
	size_t i;

	for (i = 0; i < f->open.n; i++) {
		struct tally_entry const *m = f->open.entry + i;

		if (!m->count[2] && m->count[0] <= now)
			f->age[step_of(figures_ages,
			    (now - m->count[0]) / 1000000)]++;
	}
	tally_sort(&f->reasons);
	tally_sort(&f->senders);
	tally_sort(&f->destinations);
	tally_sort(&f->clients);
	tally_sort(&f->viruses);
	tally_sort(&f->authors);
}

static uint64_t
sum(uint64_t const *u, size_t n)
{
	uint64_t all = 0;

	while (n--)
		all += u[n];
	return all;
}

uint64_t
figures_checked(struct figures const *f)
{
	return f->count[FIGURE_SENDERS_ACCEPTED] +
	    f->count[FIGURE_SENDERS_REFUSED] + f->count[FIGURE_SENDERS_PUT_OFF];
}

uint64_t
figures_asked(struct figures_list const *l)
{
	return sum(l->said, LOGEVENT_SAID);
}

uint64_t
figures_timed(struct figures_list const *l)
{
	return sum(l->step, FIGURES_STEPS);
}

uint64_t
figures_slow(struct figures_list const *l)
{
	size_t i = 0;

	while (figures_answers[i] < 1000)
		i++;
	return sum(l->step + i + 1, FIGURES_STEPS - i - 1);
}

uint64_t
figures_said(struct figures const *f, enum logevent_result r)
{
	uint64_t u = 0;
	size_t i;

	for (i = 0; i < LOGEVENT_CHECKS; i++)
		u += f->said[i][r];
	return u;
}

uint64_t
figures_highest(uint64_t const *u, size_t n)
{
	uint64_t most = 0;

	while (n--)
		if (u[n] > most)
			most = u[n];
	return most;
}

struct logplace *
figures_place(struct figures *f, char const *log)
{
	size_t i;

	for (i = 0; i < f->places; i++)
		if (!strcmp(f->place[i].log, log))
			return &f->place[i].at;
	if (i == FIGURES_LOGS || strlen(log) >= sizeof f->place[i].log ||
	    strpbrk(log, " \t\n"))
		return 0;
	memcpy(f->place[i].log, log, strlen(log) + 1);
	f->places++;
	return &f->place[i].at;
}

/* ---- state between two readings, a line each */

static int
save(stralloc *out, char const *kind, char const *name, size_t n,
    uint64_t const *u, size_t values)
{
	char fmt[24];
	size_t i;

	if (!stralloc_cats(out, kind))
		return -1;
	for (i = 0; i < values; i++) {
		snprintf(fmt, sizeof fmt, " %llu", (unsigned long long)u[i]);
		if (!stralloc_cats(out, fmt))
			return -1;
	}
	return (!n || stralloc_cats(out, " ")) &&
	    stralloc_catb(out, name, n) && stralloc_cats(out, "\n") ? 1 : -1;
}

static int
save_lists(struct figures const *f, stralloc *out)
{
	uint64_t u[LIST_NUMBERS];
	size_t i;

	for (i = 0; i < f->lists.n; i++) {
		memcpy(u, &f->list[i], sizeof u);
		if (save(out, "list", f->lists.entry[i].name,
		    f->lists.entry[i].n, u, LIST_NUMBERS) == -1)
			return -1;
	}
	return 1;
}

int
figures_save(struct figures const *f, stralloc *out)
{
	uint64_t u[4];
	size_t i;

	for (i = 0; i < FIGURES; i++)
		if (save(out, "count", figures_names[i],
		    strlen(figures_names[i]), &f->count[i], 1) == -1)
			return -1;
	if (save(out, "delay", "", 0, f->delay, FIGURES_STEPS) == -1 ||
	    save(out, "seconds", "", 0, &f->seconds, 1) == -1)
		return -1;
	for (i = 0; i < f->reasons.n; i++)
		if (save(out, "reason", f->reasons.entry[i].name,
		    f->reasons.entry[i].n, f->reasons.entry[i].count, 1) == -1)
			return -1;
	for (i = 0; i < LOGEVENT_CHECKS; i++)
		if (save(out, logevent_checks[i], "", 0, f->said[i],
		    LOGEVENT_RESULTS) == -1)
			return -1;
	if (save_lists(f, out) == -1)
		return -1;
	for (i = 0; i < f->running.n; i++) {
		memcpy(u, f->running.entry[i].name, sizeof u[0]);
		u[1] = f->running.entry[i].count[0];
		u[2] = f->running.entry[i].count[1];
		if (u[1] && save(out, "running", "", 0, u, 3) == -1)
			return -1;
	}
	for (i = 0; i < f->places; i++) {
		u[0] = f->place[i].at.inode;
		u[1] = f->place[i].at.offset;
		u[2] = f->place[i].at.time;
		u[3] = f->place[i].at.start;
		if (save(out, "place", f->place[i].log,
		    strlen(f->place[i].log), u, 4) == -1)
			return -1;
	}
	return save(out, "end", "", 0, u, 0);
}

/* Up to values numbers; the rest of the line, or 0. */
static char *
numbers(char *s, uint64_t *u, size_t values)
{
	while (values--) {
		char *end;

		*u++ = strtoull(s, &end, 10);
		if (end == s)
			return 0;
		s = end;
	}
	return s + (*s == ' ');
}

static int
load_count(struct figures *f, char const *name, uint64_t u)
{
	size_t i;

	for (i = 0; i < FIGURES; i++)
		if (!strcmp(name, figures_names[i]))
			f->count[i] = u;
	return 1;
}

static int
load_list(struct figures *f, char *s)
{
	uint64_t u[LIST_NUMBERS];
	struct figures_list *l;

	s = numbers(s, u, LIST_NUMBERS);
	l = s ? list_put(f, s, strlen(s)) : 0;
	if (l)
		memcpy(l, u, sizeof u);
	return l != 0;
}

static int
load_line(struct figures *f, char *s)
{
	uint64_t u[4];
	struct tally_entry *r;
	struct logplace *p;
	char *word = s;
	size_t i;

	s += strcspn(s, " ");
	if (*s)
		*s++ = 0;
	if (!strcmp(word, "count"))
		return (s = numbers(s, u, 1)) && load_count(f, s, u[0]);
	if (!strcmp(word, "delay"))
		return numbers(s, f->delay, FIGURES_STEPS) != 0;
	if (!strcmp(word, "seconds"))
		return numbers(s, &f->seconds, 1) != 0;
	for (i = 0; i < LOGEVENT_CHECKS; i++)
		if (!strcmp(word, logevent_checks[i]))
			return numbers(s, f->said[i], LOGEVENT_RESULTS) != 0;
	if (!strcmp(word, "list"))
		return load_list(f, s);
	if (!strcmp(word, "reason")) {
		if ((s = numbers(s, u, 1)))
			tally_add(&f->reasons, s, strlen(s), u[0]);
		return s != 0;
	}
	if (!strcmp(word, "running")) {
		if (!numbers(s, u, 3) || !(r = number_put(&f->running, u[0])))
			return 0;
		r->count[0] = u[1];
		r->count[1] = u[2];
		return 1;
	}
	if (strcmp(word, "place") != 0 || !(s = numbers(s, u, 4)) ||
	    !(p = figures_place(f, s)))
		return 0;
	p->inode = u[0];
	p->offset = u[1];
	p->time = u[2];
	p->start = (uint32_t)u[3];
	return 1;
}

int
figures_load(struct figures *f, char *s)
{
	char *next;
	int good = 1, end = 0;

	for (; good && *s; s = next) {
		next = s + strcspn(s, "\n");
		if (*next)
			*next++ = 0;
		end = !strcmp(s, "end");
		good = end || load_line(f, s);
	}
	if (good && end)
		return 1;
	return figures_init(f) == -1 ? -1 : 0;
}
