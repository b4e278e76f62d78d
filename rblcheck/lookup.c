#include "rblcheck/lookup.h"

#include "lib/clock.h"

/* dnsq watches the time itself; this is for one that does not */
enum { GRACE = 500 };

/* answers.h says in which order. */
static int
questions(stralloc *words, struct lists const *lists, char const *what)
{
	stralloc name = STRALLOC_ZERO;
	unsigned int i;
	int r = 1;

	for (i = 0; r == 1 && i < lists->n; i++) {
		struct list const *l = &lists->at[i];

		name.len = 0;
		r = lists_question(l, what, &name);
		if (r == 1)
			r = dnsrun_ask(words, "a", name.s);
		if (r == 1)
			r = dnsrun_ask(words, "txt", name.s);
	}
	stralloc_free(&name);
	return r;
}

int
lookup_start(struct lookup *l, struct lists const *lists,
    char const *what, unsigned int seconds)
{
	stralloc words = STRALLOC_ZERO;
	int r;

	l->dns.fd = -1;
	l->dns.pid = 0;
	l->start = clock_ms();
	l->deadline = l->start + 1000 * (uint64_t)seconds + GRACE;
	l->answers.lists = lists;
	r = questions(&words, lists, what);
	if (r == 1)
		r = dnsrun_start(&l->dns, &words, seconds);
	if (r == 0)
		answers_close(&l->answers, "no-dnsq");
	stralloc_free(&words);
	return r == -1 ? -1 : 1;
}

static void
take(void *answers, char const *s, size_t n)
{
	answers_line(answers, s, n);
}

void
lookup_read(struct lookup *l)
{
	l->answers.ms = clock_ms() - l->start;
	if (!dnsrun_read(&l->dns, take, &l->answers))
		answers_close(&l->answers, "no-answer");
}

int
lookup_verdict(struct lookup *l, struct verdict *out)
{
	uint64_t now = clock_ms();

	if (l->dns.fd != -1 && now >= l->deadline) {
		l->answers.ms = now - l->start;
		answers_close(&l->answers, "timeout");
	}
	return answers_verdict(&l->answers, out);
}

void
lookup_end(struct lookup *l)
{
	dnsrun_end(&l->dns);
}
