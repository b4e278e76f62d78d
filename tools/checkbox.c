#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/assign.h"
#include "lib/cdbfile.h"
#include "lib/mailbox.h"
#include "tools/checks.h"
#include "tools/finding.h"

enum {
	MOST = 10000,			/* mailboxes that are looked at */
	NAMED = 5,			/* that are named */
	PATH = 1024
};

static unsigned int looked, wrong;

static char const *
name_of(uid_t uid, char *s, size_t max)
{
	struct passwd const *p = getpwuid(uid);

	if (p)
		snprintf(s, max, "%s", p->pw_name);
	else
		snprintf(s, max, "uid %lu", (unsigned long)uid);
	return s;
}

static void
foreign(char const *box, char const *path, uid_t owner,
    struct assign const *a)
{
	char mend[PATH + 64], is[64], wants[64];

	snprintf(mend, sizeof mend, "chown -Rh %lu:%lu %s",
	    (unsigned long)a->uid, (unsigned long)a->gid, box);
	finding_bad("its mail is put off, or cannot be fetched", mend,
	    "%s belongs to %s, not to %s", path,
	    name_of(owner, is, sizeof is),
	    name_of(a->uid, wants, sizeof wants));
}

/* A mailbox, or the home directory around one: the first of these parts that
 * belongs to another.  What is not there harms nobody here.
 */
static void
look(char const *box, char const *const *parts, struct assign const *a)
{
	char path[PATH];
	struct stat st;

	if (looked >= MOST)
		return;
	looked++;
	for (; *parts; parts++) {
		if (snprintf(path, sizeof path, "%s%s", box, *parts) >=
		    (int)sizeof path)
			return;
		if (stat(path, &st) == -1 || st.st_uid == a->uid)
			continue;
		if (++wrong <= NAMED)
			foreign(box, path, st.st_uid, a);
		return;
	}
}

static void
domain(struct assign const *a)
{
	static char const *const parts[] = { "", "/Maildir", "/Maildir/tmp",
	    "/Maildir/new", "/Maildir/cur", 0 };
	struct cdbfile c = CDBFILE_ZERO;
	struct mailbox m = MAILBOX_ZERO;
	char path[PATH];
	char const *key, *value;
	unsigned int pos = 0;
	size_t n, len;

	snprintf(path, sizeof path, "users/mailbox/%s.cdb", a->user);
	if (cdbfile_open(&c, path) != 1)
		return;
	while (looked < MOST &&
	    cdbfile_next(&c, &pos, &key, &n, &value, &len) == 1)
		if (mailbox_parse(value, len, &m) == 1 && m.kind == 'u' &&
		    snprintf(path, sizeof path, "%s/%s", a->home, m.dir) <
		    (int)sizeof path)
			look(path, parts, a);
	cdbfile_close(&c);
	stralloc_free(&m.sa);
}

/* A home directory may be another's; what is below Maildir may not. */
static void
user(struct assign const *a)
{
	static char const *const parts[] = { "", "/tmp", "/new", "/cur", 0 };
	char path[PATH];

	if (snprintf(path, sizeof path, "%s/Maildir", a->home) <
	    (int)sizeof path)
		look(path, parts, a);
}

/* A record of users/cdb: "!name", NUL, of a user; "!domain-" of a domain's
 * own name.  Others lead to the same mailboxes.
 */
static void
record(char const *key, size_t n, struct assign const *a)
{
	size_t len = strlen(a->user);

	if (!a->uid)		/* nothing is delivered as root */
		return;
	if (n == len + 2 && !memcmp(key + 1, a->user, len) &&
	    key[n - 1] == '-')
		domain(a);
	else if (!key[n - 1])
		user(a);
}

void
check_mailboxes(struct machine const *m)
{
	struct cdbfile c = CDBFILE_ZERO;
	struct assign a = ASSIGN_ZERO;
	char const *key, *value;
	unsigned int pos = 0;
	size_t n, len;
	int r = cdbfile_open(&c, "users/cdb");

	(void)m;
	while (r == 1 &&
	    (r = cdbfile_next(&c, &pos, &key, &n, &value, &len)) == 1)
		if (n > 1 && *key == '!' &&
		    assign_record(value, len, "", 0, &a) == 1)
			record(key, n, &a);
	if (r == -1)
		finding_bad("all local mail is put off", "usersmake",
		    "users/cdb cannot be read: %s", strerror(errno));
	else if (wrong > NAMED)
		finding_bad("theirs is put off, too", "chown -Rh, as above",
		    "%u more mailboxes belong to others", wrong - NAMED);
	else if (!wrong)
		finding_ok("mailboxes belong to the users who deliver to them");
	if (looked == MOST)
		finding_note("no more than %u mailboxes were looked at",
		    looked);
	cdbfile_close(&c);
	stralloc_free(&a.sa);
}
