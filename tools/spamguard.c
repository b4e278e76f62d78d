#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/role.h"
#include "tools/guardalert.h"
#include "tools/guardblock.h"
#include "tools/guardconf.h"
#include "tools/guardcount.h"
#include "tools/guardread.h"
#include "tools/logwalk.h"

#define USAGE "spamguard [-1v] [-f conf] | -l [-f conf] | " \
	"-u name|all [-f conf]"

char const *PROG = "spamguard";

enum {
	PAUSE = 5,		/* seconds between two rounds */
	LOGS = 64,
	PARANOID_TIMES = 24	/* so much longer */
};

enum { QUIET, WARNING, BLOCKING, PARANOID };

struct place {
	char *path;
	struct logplace at;
};

static struct {
	struct guardconf conf;
	struct role reader;
	struct guardcount count;
	struct guardblocks blocks;
	struct guardalert alert;
	struct place place[LOGS];
	size_t places;
	uint64_t now;		/* microseconds */
	int first;		/* this log is read for the first time */
	int changed;
	int verbose;
} g;

static void
die_memory(void)
{
	strerr_dief1x(EXIT_TEMP, "out of memory");
}

/* ---- state */

static struct logplace *
place_of(char const *path)
{
	size_t i;

	for (i = 0; i < g.places; i++)
		if (!strcmp(g.place[i].path, path))
			return &g.place[i].at;
	if (i == LOGS)
		return 0;
	g.place[i].path = strdup(path);
	if (!g.place[i].path)
		die_memory();
	g.places++;
	return &g.place[i].at;
}

static int
load_place(char *s)
{
	struct logplace p, *to;
	char *end;

	p.inode = strtoull(s, &end, 10);
	p.offset = strtoull(end, &end, 10);
	p.time = strtoull(end, &end, 10);
	p.start = (uint32_t)strtoul(end, &s, 10);
	if (s == end || *s++ != ' ' || !*s)
		return 0;
	to = place_of(s);
	if (to)
		*to = p;
	return to != 0;
}

static int
load_line(char *s)
{
	char *rest = s + strcspn(s, " ");

	if (*rest)
		*rest++ = 0;
	if (!strcmp(s, "place"))
		return load_place(rest);
	if (!strcmp(s, "key"))
		return guardcount_load(&g.count, rest, g.now);
	if (!strcmp(s, "block"))
		return guardblock_load(&g.blocks, rest);
	if (!strcmp(s, "alerts"))
		return guardalert_load(&g.alert, rest);
	return !strcmp(s, "end");
}

static void
load(void)
{
	stralloc all = STRALLOC_ZERO;
	char *s, *next;

	if (!openslurpclose(&all, g.conf.state)) {
		if (errno != ENOENT)
			strerr_diefu2sys(EXIT_TEMP, "read ", g.conf.state);
		return;
	}
	if (!stralloc_0(&all))
		die_memory();
	if (all.len < 5 || strcmp(all.s + all.len - 5, "end\n") != 0) {
		strerr_warnw2x("not a state of ours, begins anew: ",
		    g.conf.state);
		all.s[0] = 0;
	}
	for (s = all.s; *s; s = next) {
		next = s + strcspn(s, "\n");
		if (*next)
			*next++ = 0;
		if (load_line(s) != 1)
			strerr_warnw2x("damaged line: ", g.conf.state);
	}
	stralloc_free(&all);
}

static void
save(void)
{
	stralloc out = STRALLOC_ZERO;
	char fmt[120];
	mode_t mask;
	size_t i;

	for (i = 0; i < g.places; i++) {
		struct logplace const *p = &g.place[i].at;

		snprintf(fmt, sizeof fmt, "place %llu %llu %llu %lu ",
		    (unsigned long long)p->inode,
		    (unsigned long long)p->offset,
		    (unsigned long long)p->time, (unsigned long)p->start);
		if (!stralloc_cats(&out, fmt) ||
		    !stralloc_cats(&out, g.place[i].path) ||
		    !stralloc_cats(&out, "\n"))
			die_memory();
	}
	if (guardcount_save(&g.count, g.now, &out) == -1 ||
	    guardblock_save(&g.blocks, &out) == -1 ||
	    guardalert_save(&g.alert, &out) == -1 ||
	    !stralloc_cats(&out, "end\n"))
		die_memory();
	mask = umask(077);
	if (!openwritenclose_suffix_sync(g.conf.state, out.s, out.len, ".new"))
		strerr_diefu2sys(EXIT_TEMP, "write ", g.conf.state);
	umask(mask);
	stralloc_free(&out);
}

/* One at a time: the service, and who lifts a block meanwhile. */
static void
lock(void)
{
	stralloc path = STRALLOC_ZERO;
	int fd;

	if (!stralloc_copys(&path, g.conf.state) ||
	    !stralloc_cats(&path, ".lock") || !stralloc_0(&path))
		die_memory();
	fd = open(path.s, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1 || flock(fd, LOCK_EX) == -1)
		strerr_diefu2sys(EXIT_TEMP, "lock ", path.s);
	stralloc_free(&path);
}

/* ---- deciding */

static void
log_decision(char const *what, char const *name, uint32_t n, uint64_t until,
    char const *problem)
{
	if (!g.verbose)
		return;
	log_start(until ? "warning" : "info", what);
	log_string(guardalert_kind(name), name + 1);
	log_number("count", n);
	log_number("seconds", g.conf.window);
	if (until)
		log_number("until", until);
	if (problem)
		log_string("reason", problem);
	log_end();
}

static void
warn(char const *name, uint32_t n, char const *why)
{
	log_decision("over the limit", name, n, 0, why);
	if (guardalert_add(&g.alert, name, n, g.conf.window, 0, why) == -1)
		die_memory();
}

static int
blocked(char const *name, uint64_t now)
{
	struct guardblock *b = guardblock_get(&g.blocks, name);

	return b && b->until > now;
}

/* 1 blocked; 0 not, and *why */
static int
block(char const *name, uint32_t n, uint64_t us, int level, char const **why)
{
	uint64_t until = us / 1000000 + (uint64_t)g.conf.blocktime *
	    (level == PARANOID ? PARANOID_TIMES : 1);
	int r;

	*why = 0;
	if (level == BLOCKING && guardconf_matches(&g.conf.high, name + 1))
		*why = "on the high list";
	else if (until <= g.now / 1000000)
		*why = "long ago";
	else if (!guardblock_get(&g.blocks, name))
		*why = guardblock_problem(&g.conf, name);
	if (*why)
		return 0;
	r = guardblock_add(&g.blocks, name, until, n);
	if (r == -1)
		die_memory();
	if (r == 0) {
		*why = "too many blocks";
		return 0;
	}
	log_decision("blocked", name, n, until, 0);
	if (guardalert_add(&g.alert, name, n, g.conf.window, until, 0) == -1)
		die_memory();
	return 1;
}

static void
decide(char const *name, struct guardcount_name *e, uint32_t n, uint64_t us)
{
	uint32_t level = n >= g.conf.paranoid ? PARANOID :
	    n >= g.conf.blocking ? BLOCKING :
	    n >= g.conf.warning ? WARNING : QUIET;
	int higher = level > e->level;
	char const *why = 0;

	/* a block that has ended while it goes on is made anew */
	if (!higher && (level < BLOCKING || blocked(name, us / 1000000)))
		return;
	if (level >= BLOCKING && block(name, n, us, (int)level, &why) == 1)
		higher = 0;
	if (higher)
		warn(name, n, why);
	if (level > e->level)
		e->level = level;
}

static void
count(char const *name, uint64_t us)
{
	struct guardcount_name *e;
	uint32_t n;

	if (guardconf_matches(&g.conf.ignore, name + 1))
		return;
	e = guardcount_add(&g.count, name, us, &n);
	if (e && n >= g.conf.warning)
		decide(name, e, n, us);
}

static void
lower(char *out, char kind, char const *s)
{
	size_t i;

	out[0] = kind;
	for (i = 0; s[i]; i++)
		out[i + 1] = s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i];
	out[i + 1] = 0;
}

/* An IPv6 client owns a /64, and may come from any of it. */
static int
client_name(char out[64], struct ipaddr const *ip)
{
	static struct ipaddr const local6 = { { [15] = 1 } };
	struct ipaddr a = *ip;
	size_t n;

	if (ipaddr_is4(ip) ? ip->b[12] == 127 : ipaddr_within(ip, &local6,
	    128))
		return 0;	/* ourselves */
	out[0] = 'c';
	if (!ipaddr_is4(ip))
		ipaddr_mask(&a, 64);
	n = ipaddr_fmt(out + 1, &a);
	if (!ipaddr_is4(ip))
		memcpy(out + 1 + n, "/64", 4);
	return 1;
}

static void
message(void *ctx, struct guardread_message const *m)
{
	uint64_t us = m->us && m->us < g.now ? m->us : g.now;
	char name[300];

	(void)ctx;
	if (g.first && us + g.conf.window * UINT64_C(1000000) < g.now)
		return;
	guardalert_saw(&g.alert, m, us);
	if (*m->user) {
		lower(name, 'u', m->user);
		if (g.conf.count & GUARD_USER)
			count(name, us);
	} else if (m->has_ip && g.conf.count & GUARD_CLIENT &&
	    client_name(name, &m->ip)) {
		count(name, us);
	}
	if (*m->from && g.conf.count & GUARD_SENDER) {
		lower(name, 's', m->from);
		count(name, us);
	}
}

/* ---- one round */

static void
read_log(char const *path)
{
	struct guardread const how = {
		g.conf.qmail, &g.reader, message, 0
	};
	struct logplace *p = place_of(path), old;

	if (!p) {
		strerr_warnw2x("too many logs, not read: ", path);
		return;
	}
	old = *p;
	g.first = !p->inode;
	if (guardread_log(&how, path, p) == -1)
		strerr_warnwu2sys("read ", path);
	g.changed |= memcmp(&old, p, sizeof old) != 0;
}

static void
read_logs(void)
{
	struct logwalk_log *l;
	size_t i, j, n;

	for (i = 0; i < g.conf.logs; i++) {
		switch (logwalk_list(g.conf.log[i], &l, &n)) {
		case -1: strerr_warnwu2sys("read ", g.conf.log[i]); continue;
		case 0: continue;
		}
		for (j = 0; j < n; j++)
			read_log(l[j].path);
		free(l);
	}
}

static void
start(void)
{
	struct timespec t;

	lock();
	clock_gettime(CLOCK_REALTIME, &t);
	g.now = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	if (guardcount_init(&g.count, g.conf.window) == -1)
		die_memory();
	load();
}

/* The files first, then the state: after a crash between the two, what was
 * read is read and decided again.
 */
static int
round_once(void)
{
	size_t i;
	int r;

	start();
	read_logs();
	for (i = 0; i < g.blocks.n; i++)
		g.changed |= !g.blocks.block[i].done ||
		    g.blocks.block[i].until <= g.now / 1000000;
	r = guardblock_apply(&g.blocks, &g.conf, g.now / 1000000);
	if (guardalert_send(&g.alert, &g.conf, g.now / 1000000) == -1)
		r = -1;
	if (g.changed)
		save();
	return r == 1 ? EXIT_DONE : EXIT_TEMP;
}

/* Each round in a process of its own: it begins with what is on disk. */
static int
serve(void)
{
	int status;
	pid_t pid;

	g.verbose = 1;
	for (;;) {
		pid = fork();
		if (pid == 0)
			_exit(round_once());
		if (pid == -1 || waitpid(pid, &status, 0) == -1)
			strerr_warnwu1sys("start a round");
		sleep(PAUSE);
	}
}

/* ---- by hand */

static int
list(void)
{
	char line[400];
	size_t i;
	int n;

	start();
	for (i = 0; i < g.blocks.n; i++) {
		struct guardblock const *b = g.blocks.block + i;

		if (!b->until || b->until <= g.now / 1000000)
			continue;
		n = guardalert_line(line, sizeof line, b->name, b->until,
		    b->count);
		if (allwrite(1, line, (size_t)n) < (size_t)n)
			strerr_diefu1sys(EXIT_TEMP, "write");
	}
	return EXIT_DONE;
}

static int
lift(char const *name)
{
	struct guardcount_name *e;
	size_t i, n = 0;
	int r;

	start();
	for (i = 0; i < g.blocks.n; i++) {
		struct guardblock *b = g.blocks.block + i;

		if (!b->until || (strcmp(name, "all") != 0 &&
		    strcmp(name, b->name + 1) != 0))
			continue;
		b->until = 0;
		n++;
		e = guardcount_get(&g.count, b->name);
		if (e) {
			memset(e->part, 0, sizeof e->part);
			e->level = 0;
		}
	}
	if (!n)
		strerr_dief2x(EXIT_PERM, "not blocked: ", name);
	r = guardblock_apply(&g.blocks, &g.conf, g.now / 1000000);
	save();
	return r == 1 ? EXIT_DONE : EXIT_TEMP;
}

static void
settings(char const *file, int must)
{
	static stralloc me = STRALLOC_ZERO, admin = STRALLOC_ZERO;
	char const *what;

	switch (guardconf_read(&g.conf, file, must, &what)) {
	case 0: strerr_dief2x(EXIT_USAGE, "mistakes in ", file);
	case -1: strerr_diefu2sys(EXIT_TEMP, "read ", what);
	}
	if (role_find("popup", &g.reader) != 1)
		strerr_diefu1sys(EXIT_TEMP, "find the user of role popup");
	if (control_line("control/me", &me) == -1)
		strerr_diefu1sys(EXIT_TEMP, "read control/me");
	if ((!me.len && !stralloc_copys(&me, "localhost")) ||
	    !stralloc_0(&me))
		die_memory();
	if (!g.conf.hostname)
		g.conf.hostname = me.s;
	if (!g.conf.sysadmin) {
		if (!stralloc_copys(&admin, "postmaster@") ||
		    !stralloc_cats(&admin, me.s) || !stralloc_0(&admin))
			die_memory();
		g.conf.sysadmin = admin.s;
	}
	if (strpbrk(g.conf.sysadmin, "\r\n\t ") ||
	    strpbrk(g.conf.hostname, "\r\n\t "))
		strerr_dief2x(EXIT_USAGE, "blanks in sysadmin or hostname: ",
		    file);
}

/* Counts messages by who brings them, and keeps out for a time who brings too
 * many: EnderUNIX's spamguard, for postern's logs and qmail's.
 *
 * Runs as: root; each file of a log is read by a child without rights
 * Reads:   its settings, logs, state/spamguard
 * Writes:  rules/NAME.blocked and rules/NAME.cdb, badmailfile, the flag of a
 *          user (vmoduser), state/spamguard, alerts into the queue
 * Trusts:  its settings; the child for numbers and strings, which it checks
 * Trusted by: listen (rules), smtpd (badmailfrom), authd (flag)
 */
int
main(int argc, char const *const *argv)
{
	subgetopt l = SUBGETOPT_ZERO;
	char const *conf = 0, *name = 0;
	int opt, once = 0, listing = 0;

	while ((opt = subgetopt_r(argc, argv, "1vlf:u:", &l)) != -1)
		switch (opt) {
		case '1': once = 1; break;
		case 'v': g.verbose = 1; break;
		case 'l': listing = 1; break;
		case 'f': conf = l.arg; break;
		case 'u': name = l.arg; break;
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	if (argc != l.ind || once + listing + (name != 0) > 1)
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	settings(conf ? conf : "control/spamguard", conf != 0);
	if (listing)
		return list();
	if (name)
		return lift(name);
	return once ? round_once() : serve();
}
