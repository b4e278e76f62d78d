#include "local/redirect.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/enqueue.h"
#include "lib/exitcode.h"
#include "lib/home.h"

static enqueue q;

static void
die_queue(void)
{
	char const *reply = enqueue_reply(&q);

	strerr_dief(*reply == '5' ? EXIT_PERM : EXIT_TEMP, reply);
}

char const *
redirect_variable(char const *name)
{
	char const *value = getenv(name);

	if (!value)
		strerr_dienotset(EXIT_PERM, name);
	return value;
}

static void
put_message(void)
{
	char buf[8192];
	ssize_t r;

	while ((r = read(0, buf, sizeof buf))) {
		if (r > 0)
			enqueue_put(&q, buf, r);
		else if (errno != EINTR) {
			enqueue_abort(&q);
			strerr_diefusys(EXIT_TEMP, "read message");
		}
	}
}

static void
envelope(stralloc *env, char const *sender, char const *const *to)
{
	int good = stralloc_cats(env, "F") && stralloc_cats(env, sender) &&
	    stralloc_0(env);

	for (; *to; to++)
		good = good && stralloc_cats(env, "T") &&
		    stralloc_cats(env, *to) && stralloc_0(env);
	if (!good)
		strerr_diefusys(EXIT_TEMP, "make the envelope");
}

void
redirect(char const *sender, char const *const *to, int code)
{
	char const *dtline = redirect_variable("DTLINE");
	stralloc env = STRALLOC_ZERO;
	char pid[UINT64_FMT];

	signal(SIGPIPE, SIG_IGN);
	envelope(&env, sender, to);
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ",
		    home_path());
	if (enqueue_open(&q) == -1)
		die_queue();
	enqueue_put(&q, dtline, strlen(dtline));
	put_message();
	if (enqueue_close(&q, &env) != QUEUE_OK)
		die_queue();
	pid[uint64_fmt(pid, q.pid)] = 0;
	strerr_die(code, PROG, ": qp ", pid);
}
