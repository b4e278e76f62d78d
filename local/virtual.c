#include "local/virtual.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/home.h"
#include "lib/mailbox.h"
#include "local/instructions.h"
#include "local/mailbag.h"

static int
is(char const *s, size_t n, char const *word)
{
	return n == strlen(word) && !memcmp(s, word, n);
}

/* The domain's own words for that, or ours. */
static int
refuse(struct delivery *d, char const *file, char const *text)
{
	char own[1000];
	ssize_t n = openreadnclose(file, own, sizeof own - 1);

	if (n > 0) {
		own[n] = 0;
		own[strcspn(own, "\r\n")] = 0;
		if (*own)
			text = own;
	}
	return outcome_perm(&d->outcome, text, "\n");
}

/* The mailbox's own .qmail takes the place of its Maildir, if it says
 * anything.
 */
static int
own_file(struct delivery *d)
{
	struct instructions in = INSTRUCTIONS_ZERO;
	int r;

	in.nested = 1;
	r = instructions_read(d, ".qmail", &in);
	if (r == 1 && in.text.len == 0)
		r = 0;
	if (r == 1)
		r = instructions_follow(d, &in);
	else if (r == 0)
		r = mailbag_deliver(d, "Maildir");
	stralloc_free(&in.text);
	return r;
}

static int
user(struct delivery *d, struct mailbox const *m, char const *name)
{
	struct stat st;

	if (m->flags & MAILBOX_BOUNCE)
		return outcome_perm(&d->outcome,
		    "Sorry, this mailbox takes no mail. (#5.2.1)\n");
	if (chdir(m->dir) == -1 || stat(".", &st) == -1)
		return outcome_errno(&d->outcome, "switch to", m->dir);
	if (st.st_mode & S_IWOTH)
		return outcome_temp(&d->outcome, "Uh-oh: ", m->dir,
		    " is writable. (#4.7.0)\n");
	d->box = m;
	d->box_name = name;
	return own_file(d);
}

/* The tables stand below the suite's home directory. */
static int
find(struct delivery *d, char const *name, struct mailbox *m)
{
	int r;

	if (home_enter() == -1)
		return outcome_errno(&d->outcome, "switch to", home_path());
	r = mailbox_find(d->user, strlen(d->user), name, strlen(name), m);
	if (r == -1)
		return outcome_errno(&d->outcome, "read the mailbox table of",
		    d->user);
	if (chdir(d->home) == -1)
		return outcome_errno(&d->outcome, "switch to", d->home);
	return r;
}

/* vpopmail names a catch-all by its directory: whose is it?  1 with *m and
 * *name, which is in path; 0; -1.
 */
static int
owner_of(struct delivery *d, char *path, struct mailbox *m,
    char const **name)
{
	size_t n = strlen(d->home), len = strlen(path);
	char *slash;
	int r;

	if (len && path[len-1] == '/')
		path[--len] = 0;
	if (len > 8 && !strcmp(path + len - 8, "/Maildir"))
		path[len - 8] = 0;
	if (strncmp(path, d->home, n) || path[n] != '/' || !path[n+1])
		return 0;
	slash = strrchr(path, '/');
	*name = slash + 1;
	r = **name ? find(d, *name, m) : 0;
	return r == 1 ? m->kind == 'u' && !strcmp(m->dir, path + n + 1) : r;
}

static int
to_owner(struct delivery *d, char const *word, size_t n, int *is)
{
	struct mailbox m = MAILBOX_ZERO;
	stralloc path = STRALLOC_ZERO;
	char const *name = "";
	int r = -1;

	*is = 0;
	if (stralloc_copyb(&path, word, n) && stralloc_0(&path))
		*is = owner_of(d, path.s, &m, &name);
	else
		*is = outcome_errno(&d->outcome, "deliver to", word);
	if (*is == 1)
		r = user(d, &m, name);
	d->box = 0;
	stralloc_free(&m.sa);
	stralloc_free(&path);
	return r;
}

/* A catch-all: an address, or a mailbox directory as vpopmail writes it. */
static int
catch_all(struct delivery *d, char const *word, size_t n)
{
	stralloc path = STRALLOC_ZERO;
	int r, is;

	if (*word != '/' && *word != '.') {
		d->forwarded++;
		if (stralloc_copys(&d->new_sender, d->sender))
			return instructions_forward(d, word, n);
		return outcome_errno(&d->outcome, "forward to", word);
	}
	r = to_owner(d, word, n, &is);
	if (is)
		return r;
	d->files++;
	if (stralloc_copyb(&path, word, n) &&
	    stralloc_cats(&path, word[n-1] == '/' ? "" : "/Maildir/") &&
	    stralloc_0(&path))
		r = instructions_maildir(d, path.s);
	else
		outcome_errno(&d->outcome, "deliver to", word);
	stralloc_free(&path);
	return r;
}

static int
unknown(struct delivery *d, char const *word, size_t n)
{
	if (is(word, n, "delete"))
		return 1;
	if (is(word, n, "bounce-no-mailbox"))
		return refuse(d, ".no-user.msg",
		    "Sorry, no mailbox here by that name. (#5.1.1)");
	return catch_all(d, word, n);
}

int
virtual_deliver(struct delivery *d, char const *word, size_t n)
{
	struct mailbox m = MAILBOX_ZERO;
	int r = 0;

	/* the empty name would ask for the table's policy */
	if (*d->ext)
		r = find(d, d->ext, &m);
	if (r == 1)
		r = m.kind == 'u' ? user(d, &m, d->ext) : unknown(d, word, n);
	else if (r == 0)
		r = unknown(d, word, n);
	d->box = 0;
	stralloc_free(&m.sa);
	return r;
}
