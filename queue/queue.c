#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/enqueue.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/given.h"

char const *PROG = "queue";

static enqueue q;

static int
copy_message(void)
{
	static char buf[65536];
	ssize_t r;

	while ((r = given_read(0, buf, sizeof buf)) > 0)
		enqueue_put(&q, buf, r);
	return r == -1 ? QUEUE_READ : q.code;
}

static int
run(void)
{
	stralloc env = STRALLOC_ZERO;
	int code;

	if (home_enter() == -1)
		return QUEUE_HOME;
	if (enqueue_open(&q) == -1)
		return q.code;
	code = copy_message();
	if (!code)
		code = given_envelope(&env);
	if (!code)
		return enqueue_close(&q, &env);
	enqueue_abort(&q);
	q.text[0] = 0;
	return code;
}

/* Puts one message into the queue, as qmail-queue does: the message on
 * descriptor 0, then its envelope on descriptor 1.
 *
 * Runs as: its caller
 * Reads:   descriptors 0 and 1
 * Writes:  the file that queued passes to it
 * Trusts:  queued
 * Trusted by: nobody; queued takes it for its caller
 */
int
main(void)
{
	int code;

	given_deadline();	/* for client and disk together */
	unsetenv("QMAILQUEUE");		/* that is us */
	code = run();
	if (code && q.text[0]) {
		log_start("warning", "message not queued");
		log_number("code", code);
		log_string("reason", q.text);
		log_end();
	}
	return code;
}
