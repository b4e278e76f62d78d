#include "users/mailboxes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/bytestr.h>
#include <skalibs/djbunix.h>

#include "lib/cdbfile.h"
#include "lib/job.h"
#include "lib/mailbox.h"
#include "lib/vpasswd.h"

static int
add(struct cdbmaker *m, char const *key, size_t n, stralloc const *value)
{
	return cdbmaker_add(m, key, n, value->s, value->len);
}

static int
record(struct mailboxes const *b, struct vpasswd const *p, char const *all,
    stralloc *value)
{
	unsigned long flags = p->flags;

	if (!(flags & MAILBOX_OVERRIDE))
		flags |= b->limits->flags;
	value->len = 0;
	if (!stralloc_append(value, 'u') || job_number(value, flags) == -1 ||
	    job_puts(value, vpasswd_below(p, b->path)) == -1 ||
	    job_puts(value, p->quota) == -1)
		return -1;
	return *all ? job_puts(value, all) : 1;
}

static int
add_users(struct mailboxes const *b, struct cdbmaker *m, stralloc *value)
{
	char all[64];
	struct vpasswd p = VPASSWD_ZERO;
	size_t pos = 0, n;
	char const *line;
	int r = 1;

	limits_domain_quota(b->limits, all, sizeof all);
	while (r == 1 && vpasswd_line(b->vpasswd->s, b->vpasswd->len, &pos,
	    &line, &n)) {
		r = vpasswd_parse(line, n, &p);
		if (r == 0) {	/* a damaged line is nobody's */
			r = 1;
			continue;
		}
		if (r == -1)
			break;
		r = record(b, &p, all, value);
		if (r == 1)
			r = add(m, p.name, strlen(p.name), value);
	}
	stralloc_free(&p.sa);
	return r;
}

/* .qmail-NAME: an alias; colons in the file's name are dots.  What has a dot
 * is half written, or nobody's.
 */
static int
add_alias(struct cdbmaker *m, char const *name)
{
	char key[256];
	size_t n = strlen(name), i;

	if (n == 0 || n > sizeof key || strcmp(name, "default") == 0 ||
	    strchr(name, '.'))
		return 1;
	for (i = 0; i < n; i++)
		key[i] = name[i] == ':' ? '.' : name[i];
	case_lowerb(key, n);
	return cdbmaker_add(m, key, n, "a", 1);
}

static int
add_aliases(struct mailboxes const *b, struct cdbmaker *m)
{
	int fd = openat(b->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;
	int r = 1;

	if (!dir) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	while (r == 1 && (e = readdir(dir)) != 0)
		if (strncmp(e->d_name, ".qmail-", 7) == 0)
			r = add_alias(m, e->d_name + 7);
	closedir(dir);
	return r;
}

/* What .qmail-default does: the last word of its vdelivermail line; a file
 * without one takes whatever comes, no file nothing.
 */
static char const *
policy_word(char *text)
{
	char *next, *word;

	for (; text; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = 0;
		if (*text != '|' || !strstr(text, "/vdelivermail "))
			continue;
		text[strcspn(text, "\r")] = 0;
		word = strrchr(text, ' ') + 1;
		if (*word == '\'' || *word == '"')
			word++;
		word[strcspn(word, "'\"")] = 0;
		return word;
	}
	return "custom";
}

static int
policy(struct mailboxes const *b, stralloc *out)
{
	stralloc all = STRALLOC_ZERO;
	int fd = openat(b->dir, ".qmail-default",
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char const *word = 0;
	int good;

	if (fd == -1)
		return errno == ENOENT && stralloc_cats(out,
		    "bounce-no-mailbox") ? 1 : -1;
	if (slurp(&all, fd) && stralloc_0(&all))
		word = policy_word(all.s);
	good = word && stralloc_cats(out, word);
	close(fd);
	stralloc_free(&all);
	return good ? 1 : -1;
}

static int
add_policy(struct mailboxes const *b, struct cdbmaker *m, stralloc *value)
{
	if (!stralloc_copys(value, "d") || policy(b, value) == -1 ||
	    !stralloc_0(value))
		return -1;
	return add(m, "", 0, value);
}

int
mailboxes_write(struct mailboxes const *b)
{
	struct cdbmaker m = CDBMAKER_ZERO;
	stralloc value = STRALLOC_ZERO;
	char file[160];
	int r;

	snprintf(file, sizeof file, "users/mailbox/%s.cdb", b->domain);
	r = cdbmaker_open(&m, file, 0644);
	if (r == 1) {
		r = add_policy(b, &m, &value);
		if (r == 1)
			r = add_users(b, &m, &value);
		if (r == 1)
			r = add_aliases(b, &m);
		if (r == 1)
			r = cdbmaker_commit(&m);
		else if (m.make)
			cdbmaker_abort(&m);
	}
	stralloc_free(&value);
	return r;
}
