#include "queue/readdress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/job.h"
#include "queue/moving.h"
#include "queue/orders.h"

/* An order that has to be carried out. */
static void
must(char order, uint64_t id, stralloc const *offsets, char const *what)
{
	int err = orders_one(order, id, offsets);

	if (err == -1)
		tool_send_is_gone();
	errno = err;
	if (err)
		strerr_diefu1sys(err == ENOENT ? EXIT_PERM : EXIT_TEMP, what);
}

static int
find_recipient(struct look const *l, char const *address, size_t *at)
{
	size_t pos = 0;
	char const *to;

	while ((to = look_recipient(l, &pos, at)))
		if (strcasecmp(to, address) == 0)
			return 1;
	return 0;
}

/* The message, and the recipient in it.  1; 0 one of them is not there. */
static int
find(struct look *l, uint64_t id, char const *address, size_t *at)
{
	char const *why;

	look_done(l);
	return look_at(l, id, &why) == 1 && find_recipient(l, address, at);
}

static void
die_absent(char const *address)
{
	strerr_dief3x(EXIT_PERM, "no recipient ", address,
	    " waits in that message");
}

/* Takes a hold back that takes too long.  Late answers are in between: what
 * ends it is that the message is not held.
 */
static void
take_back(uint64_t id)
{
	int i, err = 0;

	for (i = 0; i < 10 && err != -1 && err != EINVAL && err != ENOENT; i++)
		err = orders_one('U', id, 0);
}

static void
hold(uint64_t id, char const *address)
{
	int err = orders_one('H', id, 0);

	if (err == -1)
		tool_send_is_gone();
	if (err == ENOENT || err == EALREADY)
		die_absent(address);
	if (err == ETIMEDOUT)
		take_back(id);
	errno = err;
	if (err)
		strerr_diefu1sys(EXIT_TEMP, "hold the message: nothing is "
		    "changed");
}

static void
release(uint64_t id, int was_held)
{
	if (!was_held)
		must('U', id, 0, "release the message again");
}

/* The new message is on disk before the old recipient is done: what fails in
 * between leaves both, or the old one held, and says so.
 */
int
readdress(struct tool *t, char const *const *argv)
{
	stralloc offsets = STRALLOC_ZERO;
	uint64_t id, copy;
	char const *why;
	size_t at;
	int held;

	if (!argv[0] || !argv[1] || !argv[2] || argv[3] ||
	    msgfile_id(argv[0], strlen(argv[0]), &id) != 1 || !*argv[2])
		tool_usage();
	tool_need_send();
	t->look.fd = -1;
	if (!find(&t->look, id, argv[1], &at))
		die_absent(argv[1]);
	held = t->look.held;
	if (!held)
		hold(id, argv[1]);
	/* what was under way has ended, and may have reached it */
	if (!find(&t->look, id, argv[1], &at)) {
		release(id, held);
		die_absent(argv[1]);
	}
	if (moving_copy(&t->look, argv[2], &copy, &why) != 1) {
		release(id, held);
		strerr_dief3x(EXIT_TEMP, "unable to queue the copy: ", why,
		    "");
	}
	if (job_number(&offsets, at) == -1)
		tool_nomem();
	must('D', id, &offsets, "mark the old recipient done: the new "
	    "message is queued, the old one is held");
	look_done(&t->look);
	if (look_at(&t->look, id, &why) == 1)
		release(id, held);
	printf("%llu: %s is %s of message %llu now\n", (unsigned long long)id,
	    argv[1], argv[2], (unsigned long long)copy);
	return EXIT_DONE;
}
