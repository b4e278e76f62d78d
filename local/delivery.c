#include "local/delivery.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/smtpaddress.h"
#include "local/dotqmail.h"
#include "local/instructions.h"
#include "local/resend.h"

enum { KEEP = 65536 };	/* more than that is given back after a job */

/* No address breaks a header line. */
static void
one_line(char *s, size_t n)
{
	for (; n; s++, n--)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '_';
}

/* A sender that nothing can quote is shown as it is. */
static int
quote(char const *s, stralloc *out)
{
	int r = smtpaddress_quote(s, strlen(s), out);

	return r == 0 ? (stralloc_copys(out, s) ? 1 : -1) : r;
}

static int
header(stralloc *line, char const *before, stralloc const *value,
    char const *behind)
{
	if (!stralloc_copys(line, before) || !stralloc_cat(line, value))
		return -1;
	one_line(line->s, line->len);
	return stralloc_cats(line, behind) ? 1 : -1;
}

static int
prepare(struct delivery *d)
{
	stralloc quoted = STRALLOC_ZERO;
	int r = -1;

	d->outcome.letter = 'K';
	if (stralloc_copys(&d->recipient, d->local) &&
	    stralloc_append(&d->recipient, '@') &&
	    stralloc_cats(&d->recipient, d->host) &&
	    quote(d->sender, &quoted) == 1 &&
	    header(&d->rpline, "Return-Path: <", &quoted, ">\n") == 1 &&
	    header(&d->dtline, "Delivered-To: ", &d->recipient, "\n") == 1)
		r = 1;
	else
		outcome_errno(&d->outcome, "make the header", "");
	stralloc_free(&quoted);
	return r;
}

static int
enter(struct delivery *d)
{
	struct stat st;

	if (geteuid() == 0)
		return outcome_temp(&d->outcome, "Not allowed to perform "
		    "deliveries as root. (#4.7.0)\n");
	if (*d->home != '/') {
		errno = EINVAL;
		return outcome_errno(&d->outcome, "switch to", d->home);
	}
	if (chdir(d->home) == -1 || stat(".", &st) == -1)
		return outcome_errno(&d->outcome, "switch to", d->home);
	if (st.st_mode & S_IWOTH)
		return outcome_temp(&d->outcome,
		    "Uh-oh: home directory is writable. (#4.7.0)\n");
	if (st.st_mode & S_ISVTX && !d->dry)
		return outcome_temp(&d->outcome, "Home directory is sticky: "
		    "user is editing his .qmail file. (#4.2.1)\n");
	return 1;
}

/* A message that has been here before has our line in its header. */
static int
no_loop(struct delivery *d)
{
	char const *s;
	size_t n;
	uint64_t pos = 0;
	int r, whole = 1, start;

	for (;;) {
		start = whole;
		r = body_line(d->body, &pos, &s, &n, &whole);
		if (r == -1)
			return outcome_errno(&d->outcome, "read message", "");
		if (r == 0 || (start && n == 1 && whole))
			return 1;
		if (start && n == d->dtline.len &&
		    !memcmp(s, d->dtline.s, n))
			return outcome_perm(&d->outcome,
			    "This message is looping: it already has my "
			    "Delivered-To line. (#5.4.6)\n");
	}
}

static int
find_file(struct delivery *d, struct instructions *in)
{
	stralloc name = STRALLOC_ZERO;
	size_t i = 0;
	long from;
	int r;

	while ((r = dotqmail_candidate(d->dash, d->ext, &i, &name,
	    &from)) == 1) {
		r = instructions_read(d, name.s, in);
		if (r)
			break;
	}
	if (r == 1)
		d->matched = from == -1 ? 0 : d->ext + from;
	else if (r == -1 && d->outcome.letter == 'K')
		outcome_errno(&d->outcome, "look for .qmail file", "");
	stralloc_free(&name);
	return r;
}

static int
find_instructions(struct delivery *d, struct instructions *in)
{
	int r = find_file(d, in);

	if (r == 0 && *d->dash)
		return outcome_perm(&d->outcome,
		    "Sorry, no mailbox here by that name. (#5.1.1)\n");
	if (r == -1 || in->text.len)
		return r;
	in->forward_only = 0;
	if (!stralloc_cats(&in->text, d->fallback) ||
	    !stralloc_append(&in->text, '\n'))
		return outcome_errno(&d->outcome, "remember defaults", "");
	return 1;
}

static void
success(struct delivery *d)
{
	char text[120];
	size_t n;

	n = snprintf(text, sizeof text, "did %u+%u+%u\n", d->files,
	    d->forwarded, d->programs);
	if (d->queued_by)
		n += snprintf(text + n, sizeof text - n, "qp %ld\n",
		    (long)d->queued_by);
	d->outcome.letter = 'K';
	stralloc_catb(&d->outcome.text, text, n);
}

void
delivery_run(struct delivery *d)
{
	struct instructions in = INSTRUCTIONS_ZERO;

	if (prepare(d) == 1 && enter(d) == 1 &&
	    (d->dry || no_loop(d) == 1) &&
	    find_instructions(d, &in) == 1 &&
	    instructions_follow(d, &in) != -1 &&
	    (!d->forwards.len || resend(d) == 1))
		success(d);
	stralloc_free(&in.text);
}

static void
forget(stralloc *sa)
{
	if (sa->a > KEEP)
		stralloc_free(sa);
	sa->len = 0;
}

void
delivery_reset(struct delivery *d)
{
	struct delivery fresh = DELIVERY_ZERO;

	forget(&d->recipient);
	forget(&d->dtline);
	forget(&d->rpline);
	forget(&d->new_sender);
	forget(&d->forwards);
	forget(&d->outcome.text);
	fresh.body = d->body;
	fresh.recipient = d->recipient;
	fresh.dtline = d->dtline;
	fresh.rpline = d->rpline;
	fresh.new_sender = d->new_sender;
	fresh.forwards = d->forwards;
	fresh.outcome.text = d->outcome.text;
	*d = fresh;
}
