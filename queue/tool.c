#include "queue/tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "queue/orders.h"

#define USAGE "queuectl [-j] status | list [CHOICE] | count BY [CHOICE] | " \
    "show ID | hold CHOICE | release CHOICE | retry CHOICE | delete CHOICE " \
    "| bounce CHOICE | change ID OLD NEW | freeze DOMAIN | thaw DOMAIN | " \
    "frozen | check | repair | export CHOICE | import"

void
tool_usage(void)
{
	strerr_dieusage(EXIT_USAGE, USAGE);
}

void
tool_nomem(void)
{
	strerr_dief1x(EXIT_TEMP, "out of memory");
}

void
tool_send_is_gone(void)
{
	strerr_diefu1sys(EXIT_TEMP, "go on: send ended");
}

void
tool_need_send(void)
{
	if (orders_open() == -1)
		strerr_diefu1sys(EXIT_TEMP, "reach send by socket/send/send: "
		    "only status, list, count, show, check, export, import "
		    "and frozen work without it");
}

void
tool_words(struct tool *t, char const *const *argv)
{
	for (; *argv; argv++)
		if (!look_word(&t->choice, *argv))
			strerr_dief3x(EXIT_USAGE, "not an id or a condition: ",
			    *argv, "");
}

static void
warn(uint64_t id, char const *why)
{
	fprintf(stderr, "queuectl: warning: %llu: %s\n",
	    (unsigned long long)id, why);
}

void
tool_each(struct tool *t, tool_message *f, void *ctx)
{
	genalloc ids = GENALLOC_ZERO;
	char const *dir, *why;
	size_t i;

	if (look_ids(&t->choice, &ids, &dir) == -1)
		strerr_diefu3sys(EXIT_TEMP, "read queue/", dir, "");
	for (i = 0; i < genalloc_len(uint64_t, &ids); i++) {
		uint64_t id = genalloc_s(uint64_t, &ids)[i];
		int r = look_at(&t->look, id, &why);

		if (r == 1 && look_fits(&t->choice, &t->look)) {
			f(t, &t->look, ctx);
		} else if (r != 1 && (why || r == -1 ||
		    t->choice.ids.len)) {
			warn(id, r == -1 ? strerror(errno) :
			    why ? why : "no such message");
			t->bad++;
		}
		look_done(&t->look);
	}
	genalloc_free(uint64_t, &ids);
}

int
tool_ask(struct tool *t, struct look const *l, struct said *said)
{
	show_ask(l->id, said, &t->answer);
	return !t->choice.reason || strstr(said->reason, t->choice.reason);
}
