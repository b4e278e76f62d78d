#include "local/instructions.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

#include "lib/limits.h"
#include "lib/maildir.h"
#include "local/dotqmail.h"
#include "local/mailbag.h"
#include "local/mbox.h"
#include "local/program.h"
#include "local/virtual.h"

enum {
	MOST = 1048576,		/* of one file: 1,000 recipients of 1,000 */
	WRITABLE = S_IWOTH	/* qmail's conf-patrn */
};

static int
read_file(struct delivery *d, int fd, char const *name, struct instructions *in)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return outcome_errno(&d->outcome, "examine", name);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (st.st_mode & WRITABLE)
		return outcome_temp(&d->outcome, "Uh-oh: ", name,
		    " is writable. (#4.7.0)\n");
	if (st.st_size > MOST)
		return outcome_temp(&d->outcome, "Uh-oh: ", name,
		    " is too long. (#4.3.0)\n");
	errno = 0;	/* a short read leaves it */
	if (!stralloc_ready(&in->text, st.st_size + 1) ||
	    allread(fd, in->text.s, st.st_size) < (size_t)st.st_size)
		return outcome_errno(&d->outcome, "read", name);
	in->text.len = st.st_size;
	if (st.st_size && in->text.s[st.st_size-1] != '\n')
		in->text.s[in->text.len++] = '\n';
	if (in->text.len && memchr(in->text.s, 0, in->text.len))
		return outcome_temp(&d->outcome, "Uh-oh: ", name,
		    " holds a NUL. (#4.3.0)\n");
	in->forward_only = (st.st_mode & S_IXUSR) != 0;
	return 1;
}

/* A link is followed: with the owner's rights alone, and owners have always
 * given one file several names so.
 */
int
instructions_read(struct delivery *d, char const *name,
    struct instructions *in)
{
	int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd == -1) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP ||
		    errno == ENAMETOOLONG || errno == ENXIO)
			return 0;
		return outcome_errno(&d->outcome, "open", name);
	}
	r = read_file(d, fd, name, in);
	close(fd);
	return r;
}

int
instructions_maildir(struct delivery *d, char const *path)
{
	static struct maildir m;
	char const *s;
	size_t n;
	uint64_t pos = 0;
	int r;

	if (maildir_open(&m, path) == -1) {
		char const *reason = strerror(errno);

		return outcome_temp(&d->outcome, "Unable to open maildir ",
		    path, ": ", reason, ". (#4.2.1)\n");
	}
	r = maildir_put(&m, d->rpline.s, d->rpline.len);
	if (r == 1)
		r = maildir_put(&m, d->dtline.s, d->dtline.len);
	while (r == 1) {
		r = body_bytes(d->body, &pos, &s, &n);
		if (r == -1) {
			maildir_abort(&m);
			return outcome_errno(&d->outcome, "read message", "");
		}
		if (r == 1)
			r = maildir_put(&m, s, n);
	}
	if (r == -1)
		maildir_abort(&m);
	else if (maildir_commit(&m) == 1)
		return 1;
	return outcome_errno(&d->outcome, "write to maildir", path);
}

int
instructions_forward(struct delivery *d, char const *s, size_t n)
{
	if (n + d->forwards.len > LIMIT_ENVELOPE)
		return outcome_temp(&d->outcome,
		    "Uh-oh: too many forwards. (#4.3.0)\n");
	if (!stralloc_append(&d->forwards, 'T') ||
	    !stralloc_catb(&d->forwards, s, n) || !stralloc_0(&d->forwards))
		return outcome_errno(&d->outcome, "remember a forward", "");
	return 1;
}

/* Is there a file .qmail, dash, ext and that ending? */
static int
list_file(struct delivery *d, char const *end)
{
	stralloc name = STRALLOC_ZERO;
	struct stat st;
	size_t i = 0;
	long from;
	int r = dotqmail_candidate(d->dash, d->ext, &i, &name, &from);

	if (r == 1) {
		name.len--;
		r = stralloc_cats(&name, end) && stralloc_0(&name) ? 1 : -1;
	}
	if (r == 1 && stat(name.s, &st) == -1)
		r = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ||
		    errno == ENAMETOOLONG ? 0 : -1;
	if (r == -1)
		outcome_errno(&d->outcome, "examine .qmail file with", end);
	stralloc_free(&name);
	return r;
}

/* A list's owner takes the bounces of what the list forwards; with
 * -owner-default he learns from each bounce which subscriber it is about.
 */
static int
find_new_sender(struct delivery *d, struct instructions const *in)
{
	int owner = 0, each = 0;

	if (d->new_sender_known)
		return 1;
	if (*d->sender && strcmp(d->sender, "#@[]") && !in->nested)
		owner = list_file(d, "-owner");
	if (owner == 1)
		each = list_file(d, "-owner-default");
	if (owner == -1 || each == -1)
		return -1;
	d->new_sender.len = 0;
	if (owner == 0 ? !stralloc_cats(&d->new_sender, d->sender) :
	    !stralloc_cats(&d->new_sender, d->local) ||
	    !stralloc_cats(&d->new_sender, each ? "-owner-@" : "-owner@") ||
	    !stralloc_cats(&d->new_sender, d->host) ||
	    !stralloc_cats(&d->new_sender, each ? "-@[]" : ""))
		return outcome_errno(&d->outcome, "name the list's owner",
		    "");
	d->new_sender_known = 1;
	return 1;
}

static int
to_file(struct delivery *d, struct instructions const *in,
    struct dotqmail_line const *line)
{
	int dir = line->kind == DOTQMAIL_MAILDIR;

	if (in->forward_only)
		return outcome_temp(&d->outcome, "Uh-oh: .qmail has file "
		    "delivery but has x bit set. (#4.7.0)\n");
	if (!d->dry && dir && d->box)
		return mailbag_deliver(d, line->text);
	d->files++;
	if (d->dry) {
		outcome_set(&d->outcome, 'K', (char const *const [])
		    { dir ? "maildir " : "mbox ", line->text, "\n", 0 });
		return 1;
	}
	return dir ? instructions_maildir(d, line->text) :
	    mbox_deliver(d, line->text);
}

static int
to_program(struct delivery *d, struct instructions const *in,
    struct dotqmail_line const *line)
{
	char const *word;
	size_t n;

	if (in->forward_only)
		return outcome_temp(&d->outcome, "Uh-oh: .qmail has prog "
		    "delivery but has x bit set. (#4.7.0)\n");
	/* in an alias of the domain, too: its mailbox of that name */
	if (!d->dry && (d->matched || strchr(d->user, '.')) && !in->nested &&
	    dotqmail_mailboxes(line, &word, &n))
		return virtual_deliver(d, word, n);
	d->programs++;
	if (d->dry) {
		outcome_set(&d->outcome, 'K', (char const *const [])
		    { "program ", line->text, "\n", 0 });
		return 1;
	}
	return find_new_sender(d, in) == 1 ? program_run(d, line->text) : -1;
}

static int
to_address(struct delivery *d, struct instructions const *in,
    struct dotqmail_line const *line)
{
	d->forwarded++;
	if (d->dry) {
		outcome_set(&d->outcome, 'K', (char const *const [])
		    { "forward ", line->text, "\n", 0 });
		return 1;
	}
	return find_new_sender(d, in) == 1 ?
	    instructions_forward(d, line->text, line->n) : -1;
}

static int
one(struct delivery *d, struct instructions *in,
    struct dotqmail_line const *line, int first)
{
	switch (line->kind) {
	case DOTQMAIL_MAILDIR:
	case DOTQMAIL_MBOX:
		return to_file(d, in, line);
	case DOTQMAIL_PROGRAM:
		return to_program(d, in, line);
	case DOTQMAIL_FORWARD:
		return to_address(d, in, line);
	case DOTQMAIL_LIST:
		in->forward_only = 1;
		return 1;
	case DOTQMAIL_BLANK:
		if (first)
			return outcome_temp(&d->outcome, "Uh-oh: first line "
			    "of .qmail file is blank. (#4.2.1)\n");
		return 1;
	case DOTQMAIL_COMMENT:
	case DOTQMAIL_OTHER:
		break;
	}
	return 1;
}

int
instructions_follow(struct delivery *d, struct instructions *in)
{
	struct dotqmail_line line;
	size_t pos = 0;
	int first = 1, r = 1;

	while (r == 1 && dotqmail_next(&in->text, &pos, &line)) {
		r = one(d, in, &line, first);
		first = 0;
	}
	return r;
}
