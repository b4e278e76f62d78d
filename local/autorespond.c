/* autorespond: answer a message for somebody who is away (RFC 3834).
 *
 * For a line "|autorespond seconds number message directory" of a .qmail file;
 * the arguments are those of vpopmail's program of that name.  Nothing that
 * goes wrong here may hold up the mail itself: but for wrong arguments the
 * exit code is always 0.
 *
 * Runs as: the recipient.  Reads: the message's header, the answer.  Writes:
 * the queue, the directory.  Trusts: its arguments, its environment; not the
 * message.  Trusted by: nobody.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/date822.h"
#include "lib/enqueue.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/signing.h"
#include "lib/smtpaddress.h"
#include "local/answered.h"
#include "local/autoheader.h"

#define USAGE "autorespond [-a address ...] seconds number message directory"

enum { TEXT = 65536, ADDRESSES = 16 };

static char const *own[ADDRESSES + 2];
static size_t owns;

/* The mail goes on its way, whatever becomes of the answer. */
static void
done(char const *why)
{
	strerr_warni("no answer: ", why);
	_exit(EXIT_DONE);
}

static char const *
variable(char const *name)
{
	char const *value = getenv(name);

	if (!value)
		strerr_dienotset(EXIT_TEMP, name);
	return value;
}

/* local@host; of a virtual domain's user ext@host as well. */
static void
name_owner(char const *local, char const *host)
{
	stralloc a = STRALLOC_ZERO;

	if (!stralloc_cats(&a, local) || !stralloc_append(&a, '@') ||
	    !stralloc_cats(&a, host) || !stralloc_0(&a))
		done("out of memory");
	own[owns++] = a.s;
}

static void
options(int argc, char *const *argv)
{
	int c;

	while ((c = getopt(argc, argv, "+a:")) != -1) {
		if (c != 'a' || owns == ADDRESSES)
			strerr_dieusage(EXIT_TEMP, USAGE);
		own[owns++] = optarg;
	}
}

static void
put(enqueue *q, char const *s)
{
	enqueue_put(q, s, strlen(s));
}

/* A file that begins with a header line has a header, up to a blank line. */
static int
has_header(char const *text)
{
	size_t n = strcspn(text, ": \t\n");

	return n && text[n] == ':';
}

/* Does the file's header have that field? */
static int
names(char const *text, char const *field)
{
	size_t n = strlen(field);

	if (!has_header(text))
		return 0;
	for (; *text && *text != '\n'; text += *text == '\n') {
		if (!strncasecmp(text, field, n) && text[n] == ':')
			return 1;
		text += strcspn(text, "\n");
	}
	return 0;
}

static void
field(enqueue *q, char const *text, char const *name, char const *a,
    char const *b)
{
	if (names(text, name))
		return;
	put(q, name);
	put(q, ": ");
	put(q, a);
	put(q, b);
	put(q, "\n");
}

static void
header(enqueue *q, char const *text, struct autoheader const *h,
    char const *from, char const *to)
{
	char date[DATE822_LEN + 1], id[64];
	time_t now = time(0);
	size_t n = uint64_fmt(id, now);

	date[date822(date, now)] = 0;
	id[n++] = '.';
	n += uint64_fmt(id + n, getpid());
	memcpy(id + n, ".auto@", 7);
	put(q, "Auto-Submitted: auto-replied\n");
	put(q, "Date: ");
	put(q, date);
	put(q, "\nMessage-ID: <");
	put(q, id);
	put(q, strrchr(from, '@') + 1);
	put(q, ">\nTo: <");
	put(q, to);
	put(q, ">\n");
	field(q, text, "From", from, "");
	field(q, text, "Subject", "Auto: ", h->subject);
	if (*h->message_id) {
		field(q, text, "In-Reply-To", h->message_id, "");
		field(q, text, "References", h->message_id, "");
	}
	if (!names(text, "MIME-Version")) {
		put(q, "MIME-Version: 1.0\n");
		field(q, text, "Content-Type", "text/plain; charset=utf-8",
		    "");
		field(q, text, "Content-Transfer-Encoding", "8bit", "");
	}
	if (!has_header(text))
		put(q, "\n");
}

/* To: is ours: the file's own, from vpopmail's time, goes. */
static void
body(enqueue *q, char const *text)
{
	int in_header = has_header(text);
	size_t n;

	for (; *text; text += n) {
		n = strcspn(text, "\n");
		n += text[n] == '\n';
		if (*text == '\n')
			in_header = 0;
		if (!in_header || (strncasecmp(text, "To:", 3) &&
		    strncasecmp(text, "Auto-Submitted:", 15) &&
		    strncasecmp(text, "Date:", 5) &&
		    strncasecmp(text, "Message-ID:", 11)))
			enqueue_put(q, text, n);
	}
}

static int
answer(char const *text, struct autoheader const *h, char const *sender)
{
	static enqueue q;
	stralloc env = STRALLOC_ZERO, to = STRALLOC_ZERO;
	stralloc from = STRALLOC_ZERO;
	char const *me = own[owns - 1];

	/* what nothing can quote breaks no header */
	if (smtpaddress_quote(sender, strlen(sender), &to) != 1 ||
	    smtpaddress_quote(me, strlen(me), &from) != 1)
		return 0;
	if (!stralloc_0(&to) || !stralloc_0(&from) ||
	    !stralloc_catb(&env, "F\0T", 3) ||
	    !stralloc_cats(&env, sender) || !stralloc_0(&env))
		return 0;
	/* its owner's own words, unlike what has been delivered */
	unsetenv("DTLINE");
	if (enqueue_open_by(&q, signing_program()) == -1)
		return 0;
	header(&q, text, h, from.s, to.s);
	body(&q, text);
	return enqueue_close(&q, &env) == QUEUE_OK;
}

int
main(int argc, char *const *argv)
{
	static char text[TEXT];
	static struct autoheader h;
	char const *sender, *why;
	unsigned int seconds, number;
	ssize_t n;

	PROG = "autorespond";
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	options(argc, argv);
	argc -= optind;
	argv += optind;
	/* vpopmail's fifth and sixth: the original is never sent along */
	if (argc < 4 || argc > 6 || !uint0_scan(argv[0], &seconds) ||
	    !uint0_scan(argv[1], &number))
		strerr_dieusage(EXIT_TEMP, USAGE);
	sender = variable("SENDER");
	name_owner(variable("LOCAL"), variable("HOST"));
	name_owner(*variable("EXT") ? variable("EXT") : variable("LOCAL"),
	    variable("HOST"));
	n = openreadnclose(argv[2], text, sizeof text - 1);
	if (n <= 0)
		done("unable to read the answer");
	if (memchr(text, 0, n))
		done("the answer holds a NUL");
	why = autoheader_sender(sender, own, owns);
	if (!why)
		why = autoheader_read(&h, 0, own, owns);
	if (!why)
		why = answered(argv[3], sender, seconds, number);
	if (why)
		done(why);
	if (home_enter() == -1 || !answer(text, &h, sender))
		done("the queue does not take it");
	return EXIT_DONE;
}
