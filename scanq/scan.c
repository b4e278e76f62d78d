#include "scanq/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/control.h"
#include "lib/enqueue.h"
#include "lib/spool.h"
#include "scanq/walkrun.h"

enum {
	SECONDS = 100,		/* control/clamdtimeout: a client waits 600 */
	LIMIT = 100000000	/* control/clamdlimit: clamd's own is 100 MiB */
};

static int
trouble(struct scan *s, char const *why, int e, int code)
{
	s->why = why;
	s->error = e;
	return code;
}

static int
read_mode(struct scan *s)
{
	stralloc v = STRALLOC_ZERO;
	int r = control_line("control/virusscan", &v);
	int good = r != -1;

	s->mode = VIRUS_REQUIRED;
	if (r == 1) {
		if (v.len == 3 && !strncasecmp(v.s, "off", 3))
			s->mode = VIRUS_OFF;
		else if (v.len == 8 && !strncasecmp(v.s, "optional", 8))
			s->mode = VIRUS_OPTIONAL;
		else if (v.len != 8 || strncasecmp(v.s, "required", 8))
			good = 0;
	}
	stralloc_free(&v);
	return good;
}

static int
clamd_settings(struct scan *s)
{
	unsigned int seconds = SECONDS, limit = LIMIT;
	char const *bad = "";
	int r = control_list("control/clamd", &s->servers);

	if (r == -1)
		return trouble(s, "unable to read control/clamd", errno,
		    QUEUE_CONFIG);
	if (!clamd_servers(&s->clamd, &s->servers, &bad))
		return trouble(s, "control/clamd: not a path or address:port",
		    0, QUEUE_CONFIG);
	s->mode = VIRUS_OFF;
	if (!s->clamd.servers)
		return 0;
	if (!read_mode(s))
		return trouble(s, "control/virusscan: not off, optional or "
		    "required", 0, QUEUE_CONFIG);
	if (control_uint("control/clamdtimeout", &seconds) == -1 ||
	    control_uint("control/clamdlimit", &limit) == -1)
		return trouble(s, "control/clamdtimeout or clamdlimit", errno,
		    QUEUE_CONFIG);
	talk_deadline(&s->clamd.talk, seconds);
	s->limit = limit;
	return 0;
}

int
scan_settings(struct scan *s)
{
	char const *why;
	int r = spamd_settings(&s->spamd, &why);

	if (r != 1)
		return trouble(s, why, r == -1 ? errno : 0, QUEUE_CONFIG);
	return clamd_settings(s);
}

/* Shows clamd one object, unless it has failed before. */
static void
ask(struct scan *s, int fd, char const *data, size_t n)
{
	static char const too_big[] = "Heuristics.Limits.Postern.Size";

	if (s->failed || s->judge.worst >= ACTION_REFUSE)
		return;
	if (n > s->limit) {
		judge_signature(&s->judge, too_big, sizeof too_big - 1);
		return;
	}
	s->objects++;
	switch (clamd_scan(&s->clamd, fd, data, n, &s->signature)) {
	case CLAMD_CLEAN:
		s->asked = 1;
		break;
	case CLAMD_FOUND:
		s->asked = 1;
		judge_signature(&s->judge, s->signature.s, s->signature.len);
		break;
	case CLAMD_UNKNOWN:
		s->failed = 1;
	}
}

/* What the whole message showed to clamd as it is needs no second look: plain
 * text, in an ordinary message.
 */
static int
is_plain(struct scan const *s, struct leaf const *l, int magic)
{
	return l->text && !s->judge.anomalies &&
	    (l->encoding == WALK_IDENTITY || l->encoding == WALK_QUOTED) &&
	    (magic == WALK_NO_MAGIC || magic == WALK_HTML);
}

/* Its bytes as a file, from wherever they are. */
static void
ask_leaf(struct scan *s, struct leaf const *l)
{
	char const *map = l->head.s;
	int fd;

	if (l->fd == -1) {
		fd = spool_bytes(l->head.s, l->head.len, "", 0);
	} else {
		fd = spool_reopen(l->fd);
		map = mmap(0, l->size, PROT_READ, MAP_SHARED, l->fd, 0);
		if (map == MAP_FAILED) {
			s->leaves.error = errno;
			return;
		}
	}
	ask(s, fd, map, l->size);
	if (l->fd != -1)
		munmap((void *)map, l->size);
	if (fd != -1)
		close(fd);
}

static void
take_leaf(void *ctx, struct leaf const *l, int magic)
{
	struct scan *s = ctx;
	char hex[65];

	if (archives_take(&s->archives, l, magic) == -1)
		s->leaves.error = errno;
	if (s->leaves.hashes) {
		leaves_hash(l, hex);
		judge_hash(&s->judge, hex);
	}
	if (s->mode == VIRUS_OFF || !l->size || is_plain(s, l, magic))
		return;
	if (s->leaves.count++ < LEAVES_MOST)
		ask_leaf(s, l);
	else if (s->leaves.count == LEAVES_MOST + 1)
		judge_add(&s->judge, ACTION_QUARANTINE,
		    "more contents than are scanned", "", 0);
}

static void
take_event(void *ctx, struct walk_event const *e)
{
	struct scan *s = ctx;

	/* a rule about all of a leaf comes before clamd's verdict on it */
	judge_event(&s->judge, e);
	archives_event(&s->archives, e);
	leaves_event(&s->leaves, e);
}

static void
take_name(void *ctx, struct walk_event const *e)
{
	struct scan *s = ctx;

	judge_event(&s->judge, e);
}

static int
walk_it(struct scan *s, struct walkrun *w)
{
	char const *why;
	int r = walkrun_events(w, take_event, s, &why);

	if (r == -1)
		return trouble(s, "unable to hear the walker", errno,
		    QUEUE_DEFERRED);
	if (r == 0)
		return trouble(s, why, 0, QUEUE_DEFERRED);
	judge_end(&s->judge);
	archives_list(&s->archives, take_name, s);
	if (s->judge.error || s->leaves.error)
		return trouble(s, "unable to judge the message",
		    s->judge.error ? s->judge.error : s->leaves.error,
		    QUEUE_DEFERRED);
	return 0;
}

/* What a client sends that may relay is our own users'.  No opinion is no
 * reason to keep mail waiting.
 */
static void
ask_spamd(struct scan *s, struct intake const *i)
{
	struct spamd *d = &s->spamd;
	char text[24];
	size_t n;

	if (d->state == SPAMD_OFF || s->judge.worst >= ACTION_REFUSE ||
	    getenv("RELAYCLIENT") || s->judge.user)
		return;
	spamd_check(d, i->message, i->size);
	if (d->state != SPAMD_ASKED)
		return;
	n = spamd_format(text, d->reply.score);
	if (d->reply.score >= d->refuse)
		judge_add(&s->judge, ACTION_REFUSE, "spam", text, n);
	else if (d->reply.score >= d->quarantine)
		judge_add(&s->judge, ACTION_QUARANTINE, "spam", text, n);
}

int
scan_message(struct scan *s, struct intake *i, stralloc const *envelope)
{
	struct walkrun w;
	int flags = 0;

	if (judge_start(&s->judge, SCAN_RULES, envelope, i->size) == -1)
		return trouble(s, "unable to read " SCAN_RULES, errno,
		    QUEUE_CONFIG);
	s->leaves.hashes = ruleset_has(&s->judge.rules, SUBJECT_HASH);
	s->leaves.take = take_leaf;
	s->leaves.ctx = s;
	s->archives.on = judge_has_names(&s->judge) &&
	    access(ARCHIVES_PROGRAM, X_OK) == 0;
	if (s->mode == VIRUS_OFF && !s->leaves.hashes && !s->archives.on)
		flags = WALK_NO_DATA;
	if (walkrun_start(&w, i->message, i->size, flags) == -1)
		return trouble(s, "unable to start the walker", errno,
		    QUEUE_DEFERRED);
	if (s->mode != VIRUS_OFF)
		ask(s, i->readonly, i->map, i->mapped);
	if (s->failed && s->mode == VIRUS_REQUIRED) {
		walkrun_stop(&w);
		return QUEUE_DEFERRED;
	}
	if (walk_it(s, &w))
		return QUEUE_DEFERRED;
	if (s->asked)
		clamd_version(&s->clamd, &s->version);
	if (s->failed && s->mode == VIRUS_REQUIRED &&
	    s->judge.worst < ACTION_REFUSE)
		return QUEUE_DEFERRED;
	ask_spamd(s, i);
	return s->judge.error ? QUEUE_DEFERRED : 0;
}
