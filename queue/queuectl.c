#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "queue/freeze.h"
#include "queue/inspect.h"
#include "queue/ordering.h"
#include "queue/orders.h"
#include "queue/readdress.h"
#include "queue/survey.h"
#include "queue/tool.h"
#include "queue/transfer.h"

char const *PROG = "queuectl";

static int
inspect_all(char const *const *argv, int repair)
{
	struct inspection v = { 0, 0, 0, repair, 0 };
	char const *where;

	if (*argv)
		tool_usage();
	v.send = orders_open() == 1;
	if (inspect(&v, &where) == -1)
		strerr_diefu2sys(EXIT_TEMP, "read ", where);
	printf("%llu messages, %llu faults", (unsigned long long)v.messages,
	    (unsigned long long)v.faults);
	if (repair)
		printf(", %llu repaired", (unsigned long long)v.repaired);
	puts(v.send ? "" : "; send is not running: it was not asked");
	return v.faults > v.repaired ? EXIT_PERM : EXIT_DONE;
}

static int
check(struct tool *t, char const *const *argv)
{
	(void)t;
	return inspect_all(argv, 0);
}

static int
repair(struct tool *t, char const *const *argv)
{
	(void)t;
	return inspect_all(argv, 1);
}

static struct verb {
	char const *name;
	int (*run)(struct tool *, char const *const *);
} const verbs[] = {
	{ "status", survey_status },
	{ "list", survey_list },
	{ "count", survey_count },
	{ "show", survey_show },
	{ "hold", ordering_hold },
	{ "release", ordering_release },
	{ "retry", ordering_retry },
	{ "delete", ordering_delete },
	{ "bounce", ordering_bounce },
	{ "change", readdress },
	{ "freeze", freeze },
	{ "thaw", freeze_thaw },
	{ "frozen", freeze_list },
	{ "check", check },
	{ "repair", repair },
	{ "export", transfer_export },
	{ "import", transfer_import },
};

/* queuectl: looks into the queue and gives send orders about it.
 *
 * Runs as:    root, or a member of the queue's group
 * Reads:      queue/mess, control/frozen
 * Writes:     control/frozen (root); all else through send and queued; repair
 *             moves misplaced files and sets owners
 * Trusts:     send, queued
 * Trusted by: nobody
 */
int
main(int argc, char const *const *argv)
{
	static struct tool t;
	size_t i, k = 1;
	int r;

	if (argc > 1 && (!strcmp(argv[1], "-j") || !strcmp(argv[1], "--json")))
		t.json = !!k++;
	for (i = 0; argv[k] && i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(argv[k], verbs[i].name) == 0)
			break;
	if (!argv[k] || i == sizeof verbs / sizeof *verbs)
		tool_usage();
	umask(022);
	if (home_enter() == -1 || look_start() == -1)
		strerr_diefu3sys(EXIT_TEMP, "enter ", home_path(), "/queue");
	r = verbs[i].run(&t, argv + k + 1);
	if (fflush(stdout))
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	return r;
}
