#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/sgetopt.h>
#include <skalibs/strerr.h>

#include "lib/clock.h"
#include "lib/enqueue.h"
#include "lib/errortext.h"
#include "lib/exitcode.h"
#include "lib/given.h"
#include "lib/home.h"
#include "lib/log.h"
#include "scanq/outcome.h"
#include "scanq/selftest.h"

#define USAGE "scanq [-t [-ae]]"

char const *PROG = "scanq";

static struct scan scan;
static struct intake intake;
static stralloc envelope = STRALLOC_ZERO;

/* No verdict: our caller keeps the message. */
static int
failed(struct report *r, int code)
{
	static char const text[] = "Zmail cannot be scanned at this time, "
	    "try again later (#4.3.0)";
	char const *how;

	r->action = "not accepted";
	if (scan.failed) {
		report_log(r);
	} else {
		log_start("warning", scan.why ? scan.why : "no verdict");
		log_number("code", (uint64_t)code);
		if (scan.error)
			log_errno(scan.error);
		log_end();
	}
	if (code != QUEUE_DEFERRED)
		return code;
	return errortext_say(text, sizeof text - 1, code, &how);
}

static int
read_all(struct report *r)
{
	stralloc line = STRALLOC_ZERO;
	int code;

	if (report_received(&line, r->now) == -1)
		return QUEUE_MEMORY;
	/* without the LF: blanks follow, and an LF at the end of the room */
	code = intake_read(&intake, line.s, line.len - 1);
	stralloc_free(&line);
	if (!code)
		code = given_envelope(&envelope);
	if (code) {
		log_start("warning", "unable to read the message");
		log_number("code", (uint64_t)code);
		log_end();
	}
	return code;
}

static int
run(void)
{
	struct report r = { &scan, &intake, &envelope, "", 0, 0 };
	int code;

	r.started = clock_ms();
	r.now = (uint64_t)time(0);
	code = read_all(&r);
	if (code)
		return code;
	r.started = clock_ms();
	code = scan_settings(&scan);
	if (!code)
		code = scan_message(&scan, &intake, &envelope);
	if (code)
		return failed(&r, code);
	return outcome(&r, &intake);
}

/* Scans one message for viruses and by rules, and hands it to the queue,
 * refuses it, or puts it into quarantine: a QMAILQUEUE program.
 *
 * Runs as: its caller; a child without any right reads the message
 * Reads:   descriptors 0 and 1, control/, rules/scan.cdb
 * Writes:  what the next program does; scan/ (how many alerts were sent),
 *          with -t state/scantest (the same of the self-test)
 * Trusts:  clamd's exact answers, the rules
 * Trusted by: its caller, for the verdict
 */
int
main(int argc, char const *const *argv)
{
	subgetopt l = SUBGETOPT_ZERO;
	int test = 0, enable = 0, alert = 0, c;

	while ((c = subgetopt_r(argc, argv, "ate", &l)) != -1) {
		switch (c) {
		case 'a': alert = 1; break;
		case 't': test = 1; break;
		case 'e': enable = 1; break;
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	}
	if (argc != l.ind || ((enable || alert) && !test))
		strerr_dieusage(EXIT_USAGE, USAGE);
	signal(SIGPIPE, SIG_IGN);
	if (home_enter() == -1) {
		strerr_warnwu2sys("enter ", home_path());
		return test ? EXIT_TEMP : QUEUE_HOME;
	}
	if (test)
		return selftest(enable, alert);
	given_deadline();
	return run();
}
