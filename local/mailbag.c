#include "local/mailbag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/cdbfile.h"
#include "lib/date822.h"
#include "lib/fullmark.h"
#include "lib/home.h"
#include "lib/mailbox.h"
#include "lib/maildir.h"
#include "lib/quota.h"
#include "local/instructions.h"

enum {
	WARN = 90, FULL = 99,	/* percent */
	EACH = 86400,		/* seconds from warning to warning */
	TEXT = 65536		/* of a warning */
};

/* ".usage" of the domain's directory counts what all its users have. */
static int
count_users(struct quota_sum *s, void *arg)
{
	struct delivery *d = arg;
	struct mailbox m = MAILBOX_ZERO;
	struct cdbfile c = CDBFILE_ZERO;
	char const *key, *value;
	char path[400];
	unsigned int pos = 0;
	size_t n, len;
	int dir = open(d->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = -1;

	if (snprintf(path, sizeof path, "%s/users/mailbox/%s.cdb",
	    home_path(), d->user) < (int)sizeof path)
		r = dir == -1 ? -1 : cdbfile_open(&c, path);
	while (r == 1 &&
	    (r = cdbfile_next(&c, &pos, &key, &n, &value, &len)) == 1) {
		if (!len || *value != 'u')
			continue;
		r = mailbox_parse(value, len, &m);
		if (r == 1 && snprintf(path, sizeof path, "%s/Maildir",
		    m.dir) < (int)sizeof path)
			r = quota_sum(dir, path, s);
	}
	cdbfile_close(&c);
	stralloc_free(&m.sa);
	if (dir != -1)
		close(dir);
	return r == -1 ? -1 : 1;
}

struct bag {
	char root[400];		/* of the Maildir; "": has no quota */
	char usage[400];	/* the domain's place; "": has no quota */
	struct quota own, all;	/* the quotas */
	struct quota used, all_used;
	uint64_t size;		/* of this message */
};

/* "./Maildir/.Folder/" belongs to "Maildir", "./.Hidden/" to nothing else. */
static void
find_root(struct delivery const *d, char const *path, struct bag *b)
{
	size_t n = strlen(d->home), m = strlen(d->box->dir);
	char *folder;

	b->root[0] = 0;
	/* vpopmail writes paths in full */
	if (!strncmp(path, d->home, n) && path[n] == '/' &&
	    !strncmp(path + n + 1, d->box->dir, m) && path[n+1+m] == '/')
		path += n + m + 2;
	while (!strncmp(path, "./", 2) && path[2])
		path += 2;
	if (*path == '/' || strstr(path, "../") ||
	    strlen(path) >= sizeof b->root)
		return;
	memcpy(b->root, path, strlen(path) + 1);
	folder = strstr(b->root, "/.");
	if (folder)
		*folder = 0;
}

static int
measure(struct delivery *d, char const *path, struct bag *b)
{
	struct quota_place p = { b->root, 0, 0 };
	struct quota_place all = { b->usage, count_users, d };
	int r = 1;

	find_root(d, path, b);
	b->size = d->rpline.len + d->dtline.len + d->body->size;
	if (!quota_parse(d->box->quota, &b->own))
		b->root[0] = 0;
	b->usage[0] = 0;
	if (quota_parse(d->box->all, &b->all))
		snprintf(b->usage, sizeof b->usage, "%s/.usage", d->home);
	if (b->root[0])
		r = quota_room(&p, &b->own, b->size, &b->used);
	if (r == 1 && b->usage[0]) {
		r = quota_room(&all, &b->all, b->size, &b->all_used);
		if (r == -1 && errno == ENOENT) {
			b->usage[0] = 0;	/* no tool has made it */
			r = 1;
		}
	}
	if (r == -1)
		outcome_errno(&d->outcome, "count", path);
	return r;
}

/* Back to the user's directory. */
static int
back(struct delivery *d)
{
	return chdir(d->home) == -1 || chdir(d->box->dir) == -1 ?
	    outcome_errno(&d->outcome, "switch to", d->box->dir) : 1;
}

/* Only a hint for smtpd: trouble with it is nobody's. */
static void
mark(struct delivery const *d, struct bag const *b)
{
	if (b->root[0]) {
		if (quota_tight(&b->own, &b->used, FULL))
			fullmark_set(d->user, d->box_name,
			    strlen(d->box_name));
		else
			fullmark_clear(d->user, d->box_name,
			    strlen(d->box_name));
	}
	if (b->usage[0]) {
		if (quota_tight(&b->all, &b->all_used, FULL))
			fullmark_set(d->user, "", 0);
		else
			fullmark_clear(d->user, "", 0);
	}
}

/* The domain's own words for that, or ours. */
static int
refuse(struct delivery *d)
{
	static char const file[] = ".over-quota.msg";
	char text[1000];
	ssize_t n = -1;
	int final = fullmark_final();

	if (final == -1)
		return outcome_errno(&d->outcome, "read", "control/overquota");
	if (chdir(d->home) != -1)
		n = openreadnclose(file, text, sizeof text - 1);
	if (n == -1)
		n = openreadnclose("../.over-quota.msg", text,
		    sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\r\n")] = 0;
	if (!*text)
		memcpy(text, "user is over quota", 19);
	if (final)
		return outcome_perm(&d->outcome, text, "\n");
	return outcome_temp(&d->outcome, text, "\n");
}

/* Once a day: the lock lets one of several deliveries write it. */
static int
is_due(char const *root)
{
	char path[420];
	struct stat st;
	int fd, due = 0;

	snprintf(path, sizeof path, "%s/quotawarn", root);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC, 0600);
	if (fd == -1)
		return 0;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 &&
	    S_ISREG(st.st_mode)) {
		due = st.st_size == 0 || st.st_mtime > time(0) ||
		    time(0) - st.st_mtime >= EACH;
		if (due && pwrite(fd, "\n", 1, 0) != 1)
			due = 0;
	}
	close(fd);
	return due;
}

/* "From: ...", "Subject: ..." and the rest: the domain's, everybody's, or
 * ours.
 */
static size_t
words(struct delivery const *d, char *text, size_t max)
{
	char path[420];
	ssize_t n;

	snprintf(path, sizeof path, "%s/.quotawarn.msg", d->home);
	n = openreadnclose(path, text, max);
	if (n <= 0) {
		snprintf(path, sizeof path, "%s/domains/.quotawarn.msg",
		    home_path());
		n = openreadnclose(path, text, max);
	}
	if (n > 0)
		return n;
	return snprintf(text, max, "From: Mail server <postmaster@%s>\n"
	    "To: <%s@%s>\nSubject: Your mailbox is nearly full\n\n"
	    "Your mailbox %s@%s is nearly full.\n"
	    "When it is full, mail for you goes back to its senders.\n"
	    "Please delete messages that you no longer need.\n",
	    d->user, d->box_name, d->user, d->box_name, d->user);
}

static void
warn(struct delivery const *d, struct bag const *b)
{
	static struct maildir m;
	static char text[TEXT];
	char head[1200], date[DATE822_LEN + 1];
	time_t now = time(0);
	size_t n, len;

	if (!is_due(b->root) || maildir_open(&m, b->root) == -1)
		return;
	len = words(d, text, sizeof text - 1);
	date[date822(date, now)] = 0;
	n = snprintf(head, sizeof head, "Return-Path: <>\nDelivered-To: "
	    "%s@%s\nDate: %s\nMessage-ID: <quota.%lld.%ld@%s>\n"
	    "Auto-Submitted: auto-generated\n", d->box_name, d->user, date,
	    (long long)now, (long)getpid(), d->user);
	if (n >= sizeof head || maildir_put(&m, head, n) == -1 ||
	    maildir_put(&m, text, len) == -1)
		maildir_abort(&m);
	else if (maildir_commit(&m) == 1) {
		quota_add(b->root, n + len);
		if (b->usage[0])
			quota_add(b->usage, n + len);
	}
}

static void
note(struct bag *b)
{
	/* what is not noted now is found when somebody counts */
	if (b->root[0]) {
		quota_add(b->root, b->size);
		b->used.bytes += b->size;
		b->used.count++;
	}
	if (b->usage[0]) {
		quota_add(b->usage, b->size);
		b->all_used.bytes += b->size;
		b->all_used.count++;
	}
}

int
mailbag_deliver(struct delivery *d, char const *path)
{
	struct bag b;
	int room = measure(d, path, &b), r = room;

	if (room == -1)
		return -1;
	if (room == 1) {
		d->files++;
		r = instructions_maildir(d, path);
		if (r == -1)
			return -1;
		note(&b);
		if (b.root[0] && quota_tight(&b.own, &b.used, WARN))
			warn(d, &b);
	}
	if (!b.root[0] && !b.usage[0])
		return 1;
	if (home_enter() == -1)
		return outcome_errno(&d->outcome, "switch to", home_path());
	mark(d, &b);
	return room ? back(d) : refuse(d);
}
