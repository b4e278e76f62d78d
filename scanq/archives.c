#include "scanq/archives.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/spool.h"
#include "scanq/walkrun.h"

struct listing {
	walk_take *take;
	void *ctx;
	uint32_t part;
};

static int
may_be(int magic)
{
	switch (magic) {
	case WALK_TAR:
	case WALK_RAR:
	case WALK_7Z:
	case WALK_GZIP:
	case WALK_BZIP2:
	case WALK_XZ:
	case WALK_ZSTD:
	case WALK_CAB:
	case WALK_LHA:
	case WALK_ISO:
		return 1;
	default:
		return 0;
	}
}

void
archives_event(struct archives *a, struct walk_event const *e)
{
	if (e->type == WALK_FILE && e->code == WALK_IN_ZIP &&
	    e->part < WALK_PARTS_MOST)
		a->zips[e->part / 8] |= 1 << e->part % 8;
}

static int
has_zip(struct archives const *a, uint32_t part)
{
	return part < WALK_PARTS_MOST && a->zips[part / 8] >> part % 8 & 1;
}

int
archives_take(struct archives *a, struct leaf const *l, int magic)
{
	int fd;

	if (!a->on || !(may_be(magic) || has_zip(a, l->part)))
		return 0;
	if (a->n == ARCHIVES_MOST) {
		a->left_out++;
		return 0;
	}
	fd = l->fd == -1 ? spool_bytes(l->head.s, l->head.len, "", 0) :
	    spool_reopen(l->fd);
	if (fd == -1)
		return -1;
	a->archive[a->n].fd = fd;
	a->archive[a->n].part = l->part;
	a->n++;
	return 1;
}

/* The program has parsed foreign bytes: it may name what it likes, and say
 * nothing about other things.
 */
static void
take_event(void *ctx, struct walk_event const *e)
{
	struct listing *l = ctx;
	struct walk_event own = *e;

	if (e->type != WALK_FILE && e->type != WALK_ANOMALY)
		return;
	own.part = l->part;
	if (e->type == WALK_FILE)
		own.code = WALK_IN_ARCHIVE;
	l->take(l->ctx, &own);
}

static void
list(int fd, struct listing *l)
{
	struct walk_event died = { .type = WALK_ANOMALY, .part = l->part,
	    .code = WALK_ARCHIVE_LIMIT, .s = "", .t = "" };
	char number[16];
	char const *argv[3] = { ARCHIVES_PROGRAM, number, 0 };
	struct walkrun w;
	char const *why;

	snprintf(number, sizeof number, "%lu", (unsigned long)l->part);
	if (walkrun_program(&w, argv, fd) == -1 ||
	    walkrun_events(&w, take_event, l, &why) != 1)
		l->take(l->ctx, &died);
}

void
archives_list(struct archives *a, walk_take *take, void *ctx)
{
	struct listing l = { take, ctx, 0 };
	struct walk_event more = { .type = WALK_ANOMALY,
	    .code = WALK_ARCHIVE_LIMIT, .s = "", .t = "" };
	uint64_t until = clock_seconds() + ARCHIVES_SECONDS;
	size_t i;

	for (i = 0; i < a->n; i++) {
		l.part = a->archive[i].part;
		if (clock_seconds() < until)
			list(a->archive[i].fd, &l);
		else
			a->left_out++;
		close(a->archive[i].fd);
	}
	if (a->left_out)
		take(ctx, &more);
	a->n = 0;
}
