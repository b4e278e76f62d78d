#include "queue/transfer.h"

#include <stdio.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "queue/moving.h"
#include "queue/orders.h"

static void
export_one(struct tool *t, struct look *l, void *ctx)
{
	struct said said;
	uint64_t *exported = ctx;

	if (t->choice.reason && !tool_ask(t, l, &said))
		return;
	if (!l->recipients)
		return;
	if (msgfile_check(l->fd, &l->file) != 1) {
		fprintf(stderr, "queuectl: warning: %llu: damaged, "
		    "not exported\n", (unsigned long long)l->id);
		t->bad++;
		return;
	}
	if (moving_put(stdout, l) == -1)
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	++*exported;
}

int
transfer_export(struct tool *t, char const *const *argv)
{
	uint64_t exported = 0;

	tool_words(t, argv);
	if (!look_chosen(&t->choice) || isatty(1))
		tool_usage();
	if (t->choice.reason)
		tool_need_send();
	if (moving_start(stdout) == -1)
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	tool_each(t, export_one, &exported);
	if (moving_end(stdout, exported) == -1)
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	fprintf(stderr, "queuectl: info: %llu messages exported\n",
	    (unsigned long long)exported);
	return t->bad ? EXIT_PERM : EXIT_DONE;
}

static void
imported(void *ctx, uint64_t old, uint64_t id, int held)
{
	struct tool *t = ctx;
	int err = 0;

	printf("%llu queued as %llu", (unsigned long long)old,
	    (unsigned long long)id);
	if (held && orders_are_open()) {
		orders_ask('N', id, &t->answer);
		err = orders_one('H', id, 0);
	}
	if (held)
		printf(orders_are_open() && !err ? ", held" :
		    ", was held and is not any more");
	putchar('\n');
	t->printed++;
}

int
transfer_import(struct tool *t, char const *const *argv)
{
	char const *why = "";
	int r;

	if (*argv)
		tool_usage();
	orders_open();
	r = moving_import(stdin, imported, t, &why);
	fflush(stdout);
	if (r == 0)
		strerr_dief1x(EXIT_PERM, "standard input is no export, or "
		    "cut short; what is named above is queued");
	if (r == -1)
		strerr_dief3x(EXIT_TEMP, "unable to queue: ", why,
		    "; what is named above is queued");
	return EXIT_DONE;
}
