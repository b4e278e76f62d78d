/* A log file out of the fuzzer's bytes, through a pipe as its readers see it.
 *
 * Whatever it holds: lines are short and none is lost; what an event points at
 * lies in its line; times do not wrap; a report of it is ASCII.
 *
 * tests/fuzz/build logs tools/logtime.c tools/loglines.c tools/logevent.c \
 *     tools/tally.c tools/figures.c tools/put.c tools/reportwords.c \
 *     tools/reporttext.c tools/reportpage.c
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/figures.h"
#include "tools/logevent.h"
#include "tools/loglines.h"
#include "tools/logtime.h"
#include "tools/report.h"

extern int LLVMFuzzerTestOneInput(unsigned char const *, size_t);

static void
must(int good)
{
	if (!good)
		abort();
}

static void
within(struct logtext const *t, char const *s, size_t n)
{
	must(!t->n || (t->s >= s && t->s + t->n <= s + n));
}

static void
check_event(struct logevent const *e, char const *s, size_t n)
{
	struct logtext const *const all[] = {
		&e->program, &e->level, &e->session, &e->ip, &e->from, &e->to,
		&e->user, &e->reason, &e->action, &e->virus, &e->text
	};
	char plain[64];
	size_t i;

	for (i = 0; i < sizeof all / sizeof *all; i++) {
		within(all[i], s, n);
		must(logevent_plain(plain, sizeof plain, all[i]) <=
		    sizeof plain);
	}
}

static void
check_report(struct figures *f)
{
	struct report const r = {
		f, "mx", "2026-11-25", "", "", "now"
	};
	stralloc out = STRALLOC_ZERO;
	size_t i;

	figures_end(f, UINT64_C(1795646472000000));
	must(report_text(&r, &out) == 1 && report_page(&r, &out) == 1 &&
	    report_metrics(f, &out) == 1);
	for (i = 0; i < out.len; i++)
		must(out.s[i] == '\n' || (out.s[i] >= 32 && out.s[i] < 127));
	stralloc_free(&out);
}

static void
drop(struct tally *t)
{
	while (t->n)
		free(t->entry[--t->n].name);
	memset(t->slot, 0, t->slots * sizeof *t->slot);
}

static struct figures *
fresh(void)
{
	static struct figures f;
	struct tally *const all[] = {
		&f.reasons, &f.senders, &f.destinations, &f.clients,
		&f.viruses, &f.open, &f.running, &f.domain
	};
	size_t i;

	if (!f.open.max)
		must(figures_init(&f) == 1);
	for (i = 0; i < sizeof all / sizeof *all; i++)
		drop(all[i]);
	memset(f.count, 0, sizeof f.count);
	return &f;
}

int
LLVMFuzzerTestOneInput(unsigned char const *data, size_t size)
{
	static struct loglines l;
	struct logtime t = { LOGTIME_LEAP, 3600, UINT64_C(1795646472000000) };
	struct figures *f = fresh();
	struct logevent e;
	char const *s;
	size_t n, skip;
	uint64_t us;
	int fd = memfd_create("log", MFD_CLOEXEC);

	must(fd != -1 && write(fd, data, size) == (ssize_t)size &&
	    lseek(fd, 0, SEEK_SET) == 0);
	loglines_init(&l, fd, 0);
	while (loglines_next(&l, 1, &s, &n) == 1) {
		must(n <= LOGLINES_MAX && l.offset <= size);
		us = skip = 0;
		if (logtime_scan(&t, s, n, &us, &skip) == 1)
			must(skip <= n);
		if (logevent_parse(s + skip, n - skip, &e) == 1)
			figures_event(f, us, &e);
		check_event(&e, s + skip, n - skip);
	}
	must(l.offset == size);
	check_report(f);
	close(fd);
	return 0;
}
