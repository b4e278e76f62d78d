#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/sgetopt.h>
#include <skalibs/strerr.h>

#include "lib/addrlist.h"
#include "lib/date822.h"
#include "lib/enqueue.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/limits.h"
#include "lib/signing.h"
#include "lib/smtpaddress.h"
#include "queue/complete.h"
#include "queue/header.h"

#define USAGE "inject [-aAhHnN] [-f sender] [recipient ...]"

char const *PROG = "inject";

enum {
	HEADER_MAX = 4194304,	/* an envelope's limit, and text around it */
	PIECE = 8192
};

enum from { ARGUMENTS = 1, HEADER = 2, EITHER = 4 };

struct input {
	stralloc head;		/* what was read up to the end of the header */
	size_t body;		/* offset in head */
	int crlf;		/* lines end in CR LF: made LF */
	int cr;			/* a CR was read and may be part of one */
	char last;		/* byte that was given out */
};

struct inject {
	struct complete names;
	stralloc out;		/* the new header */
	stralloc env;		/* envelope */
	stralloc sender;
	stralloc from;		/* user@host of a From of ours */
	char const *name;	/* and its full name, or 0 */
	enum from recipients;
	int have_sender, dry, resent;
	unsigned int seen;	/* flags of the block of fields in use */
	char const *letters;	/* $QMAILINJECT */
	uint64_t now;		/* microseconds */
};

static enqueue q;

static void die_nomem(void) __attribute__((noreturn));

static void
die_nomem(void)
{
	strerr_dief1x(EXIT_TEMP, "out of memory");
}

static void
put(stralloc *sa, char const *s, size_t n)
{
	if (!stralloc_catb(sa, s, n))
		die_nomem();
}

static void
puts_to(stralloc *sa, char const *s)
{
	put(sa, s, strlen(s));
}

static char const *
env_first(char const *const *names)
{
	char const *s = 0;

	for (; *names; names++)
		if ((s = getenv(*names)) && *s)
			return s;
	return 0;
}

static int
wants(struct inject const *j, char letter)
{
	return strchr(j->letters, letter) != 0;
}

/* ---- input */

/* Programs that were written for another system end lines in CR LF. */
static size_t
without_cr(struct input *in, char *s, size_t n)
{
	static char out[PIECE + 1];
	size_t i, to = 0;

	for (i = 0; i < n; i++) {
		if (in->cr && s[i] != '\n')
			out[to++] = '\r';
		in->cr = s[i] == '\r';
		if (!in->cr)
			out[to++] = s[i];
	}
	memcpy(s, out, to);
	return to;
}

/* Up to max bytes, and one more: a CR that was held back.  0 at the end. */
static size_t
get(struct input *in, char *s, size_t max)
{
	ssize_t r;
	size_t n;
	char const *nl;

	do {
		r = read(0, s, max);
		if (r == -1 && errno != EINTR)
			strerr_diefu1sys(EXIT_TEMP, "read message");
		if (r == 0)
			return 0;
		if (r > 0 && !in->last) {	/* the first piece */
			nl = memchr(s, '\n', r);
			in->crlf = nl && nl > s && nl[-1] == '\r';
		}
		if (r > 0)
			in->last = s[r - 1];
		n = r > 0 && in->crlf ? without_cr(in, s, r) : (size_t)r;
	} while (r == -1 || !n);
	return n;
}

static void
read_header(struct input *in)
{
	char buf[PIECE + 1];
	size_t n;

	while ((n = get(in, buf, PIECE))) {
		put(&in->head, buf, n);
		if (header_end(in->head.s, in->head.len, &in->body))
			return;
		if (in->head.len > HEADER_MAX)
			strerr_dief1x(EXIT_PERM, "header too large");
	}
	if (in->last && in->last != '\n')
		put(&in->head, "\n", 1);
	in->last = '\n';
	if (!header_end(in->head.s, in->head.len, &in->body))
		in->body = in->head.len;
}

/* ---- addresses */

static void
add_recipient(struct inject *j, char const *s, size_t n)
{
	if (n > LIMIT_ADDRESS)
		strerr_dief1x(EXIT_PERM, "recipient address too long");
	put(&j->env, "T", 1);
	put(&j->env, s, n);
	put(&j->env, "", 1);
	if (j->env.len > LIMIT_ENVELOPE)
		strerr_dief1x(EXIT_PERM, "too many recipients");
}

static void
append_completed(struct inject *j, struct addrlist const *list,
    struct addrlist_item const *item, stralloc *out)
{
	static stralloc behind = STRALLOC_ZERO;
	char const *s = list->text.s + item->text;
	size_t cut;

	if (complete_address(&j->names, s, item->len, item->has_domain,
	    &behind, &cut) == -1)
		die_nomem();
	put(out, s, item->len - cut);
	put(out, behind.s, behind.len);
}

/* The addresses of s become recipients.  1; 0 malformed. */
static int
take_recipients(struct inject *j, char const *s, size_t n)
{
	static stralloc address = STRALLOC_ZERO;
	struct addrlist list = ADDRLIST_ZERO;
	struct addrlist_item const *item;
	size_t i;
	int r = addrlist_parse(s, n, &list);

	if (r == -1)
		die_nomem();
	item = genalloc_s(struct addrlist_item, &list.items);
	for (i = 0; i < genalloc_len(struct addrlist_item, &list.items); i++) {
		if (!item[i].len)
			continue;
		address.len = 0;
		append_completed(j, &list, item + i, &address);
		add_recipient(j, address.s, address.len);
	}
	stralloc_free(&list.text);
	genalloc_free(struct addrlist_item, &list.items);
	return r;
}

/* A sender that is no address of RFC 5322 may still be one of ours: "#@[]",
 * "list-@host-@[]".  It is taken as it is.
 */
static void
set_sender(struct inject *j, char const *s, size_t n)
{
	struct addrlist list = ADDRLIST_ZERO;
	struct addrlist_item const *item;
	int r = addrlist_parse(s, n, &list);

	if (r == -1)
		die_nomem();
	item = genalloc_s(struct addrlist_item, &list.items);
	j->sender.len = 0;
	j->have_sender = 1;
	if (r == 0 || genalloc_len(struct addrlist_item, &list.items) > 1) {
		if (memchr(s, '\n', n))
			strerr_dief1x(EXIT_PERM, "malformed sender address");
		put(&j->sender, s, n);
	} else if (list.items.len && item->len) {
		append_completed(j, &list, item, &j->sender);
	}
	if (j->sender.len > LIMIT_ADDRESS)
		strerr_dief1x(EXIT_PERM, "sender address too long");
	stralloc_free(&list.text);
	genalloc_free(struct addrlist_item, &list.items);
}

static char const *
user_name(void)
{
	static char const *const names[] = { "QMAILUSER", "MAILUSER", "USER",
	    "LOGNAME", 0 };
	char const *s = env_first(names);
	struct passwd *pw;

	if (s)
		return s;
	pw = getpwuid(getuid());
	return pw ? pw->pw_name : "anonymous";
}

/* user@host of the one who runs us: From, and the sender if nobody says
 * otherwise.
 */
static void
set_from(struct inject *j)
{
	static char const *const hosts[] = { "QMAILHOST", "MAILHOST", 0 };
	static char const *const names[] = { "QMAILNAME", "MAILNAME", "NAME",
	    0 };
	char const *host = env_first(hosts);
	stralloc behind = STRALLOC_ZERO;
	size_t cut;

	puts_to(&j->from, user_name());
	if (host) {
		puts_to(&j->from, "@");
		puts_to(&j->from, host);
	}
	if (complete_address(&j->names, j->from.s, j->from.len, host != 0,
	    &behind, &cut) == -1)
		die_nomem();
	j->from.len -= cut;
	put(&j->from, behind.s, behind.len);
	stralloc_free(&behind);
	j->name = env_first(names);
}

/* $QMAILSUSER and $QMAILSHOST, and the letters m and r of $QMAILINJECT */
static void
default_sender(struct inject *j)
{
	size_t at = smtpaddress_at(j->from.s, j->from.len);
	char const *user = getenv("QMAILSUSER"), *host = getenv("QMAILSHOST");
	char unique[64];

	j->have_sender = 1;
	j->sender.len = 0;
	if (user)
		puts_to(&j->sender, user);
	else
		put(&j->sender, j->from.s, at);
	snprintf(unique, sizeof unique, "-%llu.%lu",
	    (unsigned long long)(j->now / 1000000), (unsigned long)getpid());
	if (wants(j, 'm'))
		puts_to(&j->sender, unique);
	if (wants(j, 'r'))
		puts_to(&j->sender, "-");
	puts_to(&j->sender, "@");
	if (host)
		puts_to(&j->sender, host);
	else
		put(&j->sender, j->from.s + at + 1, j->from.len - at - 1);
	if (wants(j, 'r'))
		puts_to(&j->sender, "-@[]");
}

/* ---- fields */

/* The field with every address completed in its place. */
static void
put_completed(struct inject *j, struct field const *f)
{
	static stralloc behind = STRALLOC_ZERO;
	struct addrlist list = ADDRLIST_ZERO;
	struct addrlist_item const *item;
	size_t i, done = 0, cut, end;

	/* a field that cannot be read stays as it is */
	if (addrlist_parse(f->s + f->body, f->n - f->body, &list) == -1)
		die_nomem();
	item = genalloc_s(struct addrlist_item, &list.items);
	for (i = 0; i < genalloc_len(struct addrlist_item, &list.items); i++) {
		if (!item[i].len)
			continue;
		if (complete_address(&j->names, list.text.s + item[i].text,
		    item[i].len, item[i].has_domain, &behind, &cut) == -1)
			die_nomem();
		end = f->body + item[i].end;
		put(&j->out, f->s + done, end - cut - done);
		put(&j->out, behind.s, behind.len);
		done = end;
	}
	put(&j->out, f->s + done, f->n - done);
	stralloc_free(&list.text);
	genalloc_free(struct addrlist_item, &list.items);
}

static int
is_deleted(struct inject const *j, struct field const *f)
{
	if (f->flags & FIELD_DELETE)
		return 1;
	if (!(f->flags & FIELD_RESENT) != !j->resent)
		return 0;
	return (f->flags & FIELD_FROM && wants(j, 'f')) ||
	    (f->flags & FIELD_ID && wants(j, 'i'));
}

static void
take_field(struct inject *j, struct field const *f)
{
	int in_block = !(f->flags & FIELD_RESENT) == !j->resent;

	if (f->flags & FIELD_RETURN && !j->have_sender && !wants(j, 's'))
		set_sender(j, f->s + f->body, f->n - f->body);
	if (f->flags & FIELD_RECIPIENT && in_block &&
	    j->recipients & HEADER &&
	    take_recipients(j, f->s + f->body, f->n - f->body) == 0)
		strerr_dief2x(EXIT_PERM, "unable to parse addresses in field ",
		    f->flags & FIELD_SHOWN ? "to or cc" : "bcc");
	if (is_deleted(j, f))
		return;
	if (in_block)
		j->seen |= f->flags;
	if (f->flags & FIELD_ADDRESS)
		put_completed(j, f);
	else
		put(&j->out, f->s, f->n);
}

static void
add_field(struct inject *j, char const *name, char const *value)
{
	if (j->resent)
		puts_to(&j->out, "Resent-");
	puts_to(&j->out, name);
	puts_to(&j->out, value);
	puts_to(&j->out, "\n");
}

static void
add_date(struct inject *j)
{
	char date[DATE822_LEN + 1];

	date[date822(date, j->now / 1000000)] = 0;
	add_field(j, "Date: ", date);
}

static void
add_id(struct inject *j)
{
	stralloc id = STRALLOC_ZERO;
	char s[128];
	time_t t = j->now / 1000000;
	size_t n = strftime(s, sizeof s, "<%Y%m%d%H%M%S.", gmtime(&t));

	snprintf(s + n, sizeof s - n, "%06lu.%lu.postern@",
	    (unsigned long)(j->now % 1000000), (unsigned long)getpid());
	puts_to(&id, s);
	put(&id, j->names.idhost.s, j->names.idhost.len);
	put(&id, ">", 2);
	add_field(j, "Message-ID: ", id.s);
	stralloc_free(&id);
}

/* Appended s with what a quoted string or comment must not hold quoted. */
static void
put_escaped(stralloc *out, char const *s)
{
	for (; *s; s++) {
		if (strchr("\"\\()", *s))
			puts_to(out, "\\");
		if ((unsigned char)*s >= 32 && *s != 127)
			put(out, s, 1);
	}
}

static void
add_from(struct inject *j)
{
	stralloc v = STRALLOC_ZERO;
	int comment = wants(j, 'c');

	if (j->name && !comment) {
		puts_to(&v, "\"");
		put_escaped(&v, j->name);
		puts_to(&v, "\" <");
	}
	if (smtpaddress_quote(j->from.s, j->from.len, &v) == -1)
		die_nomem();
	if (j->name && comment) {
		puts_to(&v, " (");
		put_escaped(&v, j->name);
	}
	if (j->name)
		puts_to(&v, comment ? ")" : ">");
	put(&v, "", 1);
	add_field(j, "From: ", v.s);
	stralloc_free(&v);
}

static void
make_header(struct inject *j, struct input const *in)
{
	struct field f;
	size_t pos = 0;

	while (header_next(in->head.s, in->body, &pos, &f))
		j->resent |= (f.flags & FIELD_RESENT) != 0;
	for (pos = 0; header_next(in->head.s, in->body, &pos, &f);)
		take_field(j, &f);
	if (!(j->seen & FIELD_DATE))
		add_date(j);
	if (!(j->seen & FIELD_ID))
		add_id(j);
	if (!(j->seen & FIELD_FROM))
		add_from(j);
	if (!(j->seen & FIELD_SHOWN))
		add_field(j, "Cc: ", "recipient list not shown: ;");
}

/* ---- output */

static void
give(struct inject const *j, char const *s, size_t n)
{
	if (!j->dry)
		enqueue_put(&q, s, n);
	else if (n && fwrite(s, n, 1, stdout) != 1)
		strerr_diefu1sys(EXIT_TEMP, "write message");
}

static void
give_body(struct inject const *j, struct input *in)
{
	char buf[PIECE + 1];
	size_t n = in->head.len - in->body;

	if (!n || in->head.s[in->body] != '\n')
		give(j, "\n", 1);
	give(j, in->head.s + in->body, n);
	while ((n = get(in, buf, PIECE)))
		give(j, buf, n);
	if (in->last != '\n')
		give(j, "\n", 1);
}

static void
die_queue(void)
{
	char const *reply = enqueue_reply(&q);
	int own = q.code != QUEUE_TEXT && q.text[0];

	strerr_dief(*reply == '5' ? EXIT_PERM : EXIT_TEMP,
	    "message not queued: ", reply + 4, own ? ": " : "",
	    own ? q.text : "");
}

static void
send_message(struct inject *j, struct input *in)
{
	stralloc env = STRALLOC_ZERO;

	put(&env, "F", 1);
	put(&env, j->sender.s, j->sender.len);
	put(&env, "", 1);
	put(&env, j->env.s, j->env.len);
	if (!j->dry && enqueue_open_by(&q, signing_program()) == -1)
		die_queue();
	give(j, j->out.s, j->out.len);
	give_body(j, in);
	if (j->dry && fflush(stdout))
		strerr_diefu1sys(EXIT_TEMP, "write message");
	if (!j->dry && enqueue_close(&q, &env))
		die_queue();
}

/* ---- main */

static void
parse_options(struct inject *j, int argc, char const *const *argv)
{
	subgetopt l = SUBGETOPT_ZERO;
	int c;

	j->recipients = EITHER;
	while ((c = subgetopt_r(argc, argv, "aAhHnNf:", &l)) != -1) {
		switch (c) {
		case 'a': j->recipients = ARGUMENTS; break;
		case 'A': j->recipients = EITHER; break;
		case 'h': j->recipients = HEADER; break;
		case 'H': j->recipients = ARGUMENTS | HEADER; break;
		case 'n': j->dry = 1; break;
		case 'N': j->dry = 0; break;
		case 'f': set_sender(j, l.arg, strlen(l.arg)); break;
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	}
	argc -= l.ind;
	argv += l.ind;
	if (j->recipients == EITHER)
		j->recipients = argc ? ARGUMENTS : HEADER;
	if (!(j->recipients & ARGUMENTS))
		return;
	for (; argc; argc--, argv++)
		if (take_recipients(j, *argv, strlen(*argv)) == 0)
			strerr_dief2x(EXIT_PERM,
			    "unable to parse recipient: ", *argv);
}

/* Queues a message for a user of this machine: completes its header, finds
 * its recipients.
 *
 * Runs as: its caller
 * Reads:   a message from standard input; control/{me,defaulthost,
 *          defaultdomain,plusdomain,idhost}
 * Writes:  the file that queued passes to it
 * Trusts:  its caller, for its caller's own mail
 * Trusted by: nobody; queued takes it for its caller
 */
int
main(int argc, char const *const *argv)
{
	static struct inject j = { .names = COMPLETE_ZERO };
	static struct input in;
	char const *file;
	struct timeval t;
	int r;

	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	r = complete_load(&j.names, &file);
	if (r == -1)
		strerr_diefu2sys(EXIT_TEMP, "read ", file);
	if (r == 0)
		strerr_dief2x(EXIT_TEMP, file, " names no host");
	gettimeofday(&t, 0);
	j.now = t.tv_sec * (uint64_t)1000000 + t.tv_usec;
	j.letters = getenv("QMAILINJECT");
	if (!j.letters)
		j.letters = "";
	parse_options(&j, argc, argv);
	set_from(&j);
	read_header(&in);
	make_header(&j, &in);
	if (!j.have_sender)
		default_sender(&j);
	if (!j.env.len && !j.dry)
		strerr_dief1x(EXIT_PERM, "no recipients");
	send_message(&j, &in);
	return EXIT_DONE;
}
