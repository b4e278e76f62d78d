#include "tools/guardblock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/posixplz.h>
#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/mailbox.h"
#include "lib/spawn.h"

struct guardblock *
guardblock_get(struct guardblocks *b, char const *name)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		if (!strcmp(b->block[i].name, name))
			return b->block + i;
	return 0;
}

int
guardblock_add(struct guardblocks *b, char const *name, uint64_t until,
    uint32_t count)
{
	struct guardblock *p = guardblock_get(b, name);

	if (p) {
		p->done = p->done && p->until >= until;
		p->until = p->until > until ? p->until : until;
		p->count = count;
		return 1;
	}
	if (b->n == GUARDBLOCK_MOST)
		return 0;
	if (!b->block)
		b->block = calloc(GUARDBLOCK_MOST, sizeof *b->block);
	if (!b->block)
		return -1;
	p = b->block + b->n;
	p->name = strdup(name);
	if (!p->name)
		return -1;
	p->until = until;
	p->count = count;
	p->done = 0;
	b->n++;
	return 1;
}

/* By the administrator, who will want to keep it. */
static int
listed(char const *file, char const *s)
{
	stralloc list = STRALLOC_ZERO;
	int r = control_list(file, &list) == 1 &&
	    control_has(&list, s, strlen(s));

	stralloc_free(&list);
	return r;
}

/* A line of badmailfrom can mean a whole domain ("@domain") and more: only a
 * plain address goes there.
 */
static char const *
sender_problem(struct guardconf const *c, char const *s)
{
	static char const plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=.-";
	size_t n = strspn(s, plain);

	if (!c->badmail)
		return "badmailfile is not set";
	n += strspn(s + n, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=.-+/&'{}~^$|");
	if (!n || !strspn(s, plain) || s[n] != '@' || !s[n + 1] ||
	    s[n + 1 + strspn(s + n + 1, plain)])
		return "not a plain address";
	return listed(c->badmail, s) ? "is in badmailfile already" : 0;
}

/* Flags of a user of a virtual domain.  1, or 0: there is none such. */
static int
user_flags(char const *s, unsigned long *flags)
{
	char const *at = strchr(s, '@');
	struct mailbox m = MAILBOX_ZERO;
	int r;

	if (!at || !mailbox_name_ok(s, (size_t)(at - s)) ||
	    !mailbox_domain_ok(at + 1, strlen(at + 1)))
		return 0;
	r = mailbox_find(at + 1, strlen(at + 1), s, (size_t)(at - s), &m);
	*flags = m.flags;
	r = r == 1 && m.kind == 'u';
	stralloc_free(&m.sa);
	return r;
}

static int
user_blocked(char const *s)
{
	unsigned long flags;

	return user_flags(s, &flags) && flags & MAILBOX_NOSMTP;
}

static char const *
user_problem(char const *s)
{
	unsigned long flags;

	if (!user_flags(s, &flags))
		return "not a user of a virtual domain";
	return flags & MAILBOX_NOSMTP ? "has no SMTP AUTH already" : 0;
}

char const *
guardblock_problem(struct guardconf const *c, char const *name)
{
	switch (*name) {
	case 'c': return 0;
	case 's': return sender_problem(c, name + 1);
	case 'u': return user_problem(name + 1);
	}
	return "unknown kind";
}

/* ---- files */

/* In place of the old one, with its owner and mode.  1, -1 */
static int
replace(char const *path, stralloc const *data)
{
	struct stat st;
	char tmp[512];
	int fd, there = stat(path, &st) == 0, e;

	if (snprintf(tmp, sizeof tmp, "%s.spamguard", path) >=
	    (int)sizeof tmp) {
		errno = ENAMETOOLONG;
		return -1;
	}
	unlink_void(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd == -1)
		return -1;
	if ((!there || ((fchown(fd, st.st_uid, st.st_gid) == 0 ||
	    geteuid() != 0) && fchmod(fd, st.st_mode & 07777) == 0)) &&
	    allwrite(fd, data->s, data->len) == data->len &&
	    fsync(fd) == 0 && rename(tmp, path) == 0) {
		close(fd);
		return 1;
	}
	e = errno;
	close(fd);
	unlink_void(tmp);
	errno = e;
	return -1;
}

static int
run(char const *const *argv)
{
	int status;
	pid_t pid = spawn(argv, (char const *const *)environ, 0, 0);

	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- clients */

static int
rule(stralloc *out, struct guardblock const *p)
{
	time_t t = (time_t)p->until;
	char line[160];
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		return -1;
	snprintf(line, sizeof line,
	    "%s:deny until %04d-%02d-%02dT%02d:%02d:%02dZ\n", p->name + 1,
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
	return stralloc_cats(out, line) ? 1 : -1;
}

static int
write_rules(char const *name, stralloc const *text)
{
	char path[3][300];
	char const *argv[] = {
		"bin/rulesmake", "-q", "-f", path[0], "-f", path[1], path[2],
		0
	};

	snprintf(path[0], sizeof path[0], "rules/%s", name);
	snprintf(path[1], sizeof path[1], "rules/%s.blocked", name);
	snprintf(path[2], sizeof path[2], "rules/%s.cdb", name);
	if (replace(path[1], text) == -1) {
		strerr_warnwu2sys("write ", path[1]);
		return -1;
	}
	if (access(path[0], F_OK) == -1) {
		argv[2] = argv[4];
		argv[3] = argv[5];
		argv[4] = argv[6];
		argv[5] = 0;
	}
	if (run(argv) == 1)
		return 1;
	strerr_warnw2x("not in force: ", path[1]);
	return -1;
}

static int
apply_clients(struct guardblocks *b, struct guardconf const *c)
{
	stralloc text = STRALLOC_ZERO;
	int r = 1;
	size_t i;

	if (!stralloc_copys(&text, "# written by spamguard(8)\n"))
		return -1;
	for (i = 0; i < b->n; i++)
		if (*b->block[i].name == 'c' && b->block[i].until &&
		    rule(&text, b->block + i) == -1)
			r = -1;
	for (i = 0; i < c->nrules && r != -1; i++)
		r = write_rules(c->rules[i], &text);
	stralloc_free(&text);
	return r;
}

/* ---- senders */

static int
is_ours(char const *s, size_t n, struct guardblocks const *b)
{
	size_t i;

	while (n && strchr(" \t\r", s[n - 1]))
		n--;
	for (i = 0; i < b->n; i++)
		if (*b->block[i].name == 's' &&
		    strlen(b->block[i].name) == n + 1 &&
		    !memcmp(b->block[i].name + 1, s, n))
			return 1;
	return 0;
}

/* The old file, without our lines; then our lines. */
static int
apply_senders(struct guardblocks *b, struct guardconf const *c)
{
	stralloc old = STRALLOC_ZERO, text = STRALLOC_ZERO;
	size_t i, pos, n;
	int r = 1;

	if (!c->badmail)
		return 1;
	if (!openslurpclose(&old, c->badmail) && errno != ENOENT)
		r = -1;
	for (pos = 0; r == 1 && pos < old.len; pos += n + 1) {
		char *lf = memchr(old.s + pos, '\n', old.len - pos);

		n = lf ? (size_t)(lf - old.s) - pos : old.len - pos;
		if (!is_ours(old.s + pos, n, b) &&
		    (!stralloc_catb(&text, old.s + pos, n) ||
		    !stralloc_cats(&text, "\n")))
			r = -1;
	}
	for (i = 0; r == 1 && i < b->n; i++)
		if (*b->block[i].name == 's' && b->block[i].until &&
		    (!stralloc_cats(&text, b->block[i].name + 1) ||
		    !stralloc_cats(&text, "\n")))
			r = -1;
	if (r == 1)
		r = replace(c->badmail, &text);
	if (r == -1)
		strerr_warnwu2sys("write ", c->badmail);
	stralloc_free(&old);
	stralloc_free(&text);
	return r;
}

/* ---- users */

/* 1 the flag is as it should be; -1 not yet */
static int
apply_user(struct guardblock *p)
{
	char const *const set[] = { "bin/vmoduser", "-s", p->name + 1, 0 };
	char const *const lift[] = { "bin/vmoduser", "-Xs", p->name + 1, 0 };

	if ((p->until != 0) == (p->done != 0))
		return 1;
	if (run(p->until ? set : lift) == 1 ||
	    /* gone meanwhile, or lifted by hand */
	    (!p->until && !user_blocked(p->name + 1))) {
		p->done = p->until != 0;
		return 1;
	}
	strerr_warnw3x(p->until ? "not blocked" : "not lifted", ": user ",
	    p->name + 1);
	return -1;
}

/* ---- */

/* What has been lifted, and is out of the files. */
static void
drop_lifted(struct guardblocks *b)
{
	size_t i, kept = 0;

	for (i = 0; i < b->n; i++) {
		if (!b->block[i].until && !b->block[i].done)
			free(b->block[i].name);
		else
			b->block[kept++] = b->block[i];
	}
	b->n = kept;
}

/* All of one kind are as they should be. */
static void
settle(struct guardblocks *b, char kind)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		if (*b->block[i].name == kind)
			b->block[i].done = b->block[i].until != 0;
}

int
guardblock_apply(struct guardblocks *b, struct guardconf const *c,
    uint64_t now)
{
	int clients = 0, senders = 0, failed = 0;
	size_t i;

	for (i = 0; i < b->n; i++) {
		struct guardblock *p = b->block + i;

		if (p->until && p->until <= now)
			p->until = 0;
		if (*p->name == 'u' && apply_user(p) == -1)
			failed = 1;
		if (!p->done || !p->until) {
			clients |= *p->name == 'c';
			senders |= *p->name == 's';
		}
	}
	if (clients) {
		if (apply_clients(b, c) == 1)
			settle(b, 'c');
		else
			failed = 1;
	}
	if (senders) {
		if (apply_senders(b, c) == 1)
			settle(b, 's');
		else
			failed = 1;
	}
	drop_lifted(b);
	return failed ? -1 : 1;
}

int
guardblock_save(struct guardblocks const *b, stralloc *out)
{
	char fmt[80];
	size_t i;

	for (i = 0; i < b->n; i++) {
		struct guardblock const *p = b->block + i;

		snprintf(fmt, sizeof fmt, " %llu %lu %d\n",
		    (unsigned long long)p->until, (unsigned long)p->count,
		    p->done);
		if (!stralloc_cats(out, "block ") ||
		    !stralloc_cats(out, p->name) || !stralloc_cats(out, fmt))
			return -1;
	}
	return 1;
}

int
guardblock_load(struct guardblocks *b, char *s)
{
	struct guardblock *p;
	unsigned long long until;
	unsigned long count;
	char *name = s, *end;
	int r;

	s += strcspn(s, " ");
	if (!*s)
		return 0;
	*s++ = 0;
	until = strtoull(s, &end, 10);
	count = strtoul(end, &s, 10);
	if (end == s || !*name)
		return 0;
	r = guardblock_add(b, name, until, (uint32_t)count);
	p = r == 1 ? guardblock_get(b, name) : 0;
	if (p)
		p->done = strtoul(s, 0, 10) != 0;
	return r;
}
