/* dnsq asks DNS questions, all at once, and writes one line for each as its
 * answer comes in.  It is the suite's only parser of DNS packets: every other
 * program asks through it.  Questions are its arguments, or else lines of its
 * standard input, for as long as there are any.
 *
 * Runs as: whoever asks; seccomp leaves it sockets and its open descriptors.
 * Reads: questions; $DNSCACHEIP, control/resolver or /etc/resolv.conf, once.
 * Writes: standard output.  Trusts: its resolver about names, nothing about
 * packets.  Trusted by: rblcheck, listen, smtpd, remote.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libowfat/buffer.h>
#include <libowfat/stralloc.h>

#include "rblcheck/asker.h"
#include "rblcheck/dnspacket.h"
#include "rblcheck/jail.h"
#include "rblcheck/resolvers.h"

#include "lib/clock.h"
#include "lib/exitcode.h"

enum {
	DEADLINE = 10,		/* seconds, unless -t says more or less */
	MAX_DEADLINE = 3600,
	LINE = 1200,		/* a question: each byte of a name as \ooo */
	EXIT_NODATA = 1, EXIT_NXDOMAIN = 2, EXIT_FAILED = 3, EXIT_TIMEOUT = 4
};

/* for each dnspacket_result */
static int const codes[] = {
	EXIT_DONE, EXIT_NODATA, EXIT_NXDOMAIN, EXIT_FAILED, EXIT_TIMEOUT
};

static struct asker all;
static int last_result;

/* Questions as lines. */
static struct {
	char buf[4096];
	size_t used;
	int ended;
	int skipping;		/* the rest of a line that was too long */
} in;

static void
die(int code, char const *text, char const *more, int e)
{
	buffer_putm(buffer_2, "dnsq: fatal: ", text, more);
	if (e)
		buffer_putm(buffer_2, ": ", strerror(e));
	buffer_putnlflush(buffer_2);
	_exit(code);
}

static void
usage(void)
{
	buffer_putsflush(buffer_2,
	    "dnsq: usage: dnsq [-t seconds] [type name ...]\n");
	_exit(EXIT_USAGE);
}

static void
answered(struct question const *q, int result, int secure, char const *text,
    size_t len)
{
	static char const *const words[] = {
		"answer", "nodata", "nxdomain", "failed", "timeout"
	};
	stralloc name = { 0 };

	if (dnspacket_text(&name, &q->name) == -1 || !stralloc_0(&name))
		die(EXIT_TEMP, "out of memory", "", 0);
	buffer_putm(buffer_1, q->tag, " ", dnspacket_type(q->name.type), " ",
	    name.s, " ", words[result], secure ? " secure " : " - ");
	buffer_put(buffer_1, len ? text : "-", len ? len : 1);
	buffer_put(buffer_1, "\n", 1);
	stralloc_free(&name);
	last_result = result;
}

static int64_t
seconds(char const *s)
{
	char *end;
	long u = strtol(s, &end, 10);

	if (*s < '0' || *s > '9' || *end || u < 1 || u > MAX_DEADLINE)
		usage();
	return (int64_t)u * 1000;
}

static void
out_of_memory_if(int r)
{
	if (r == -1)
		die(EXIT_TEMP, "out of memory", "", 0);
}

/* Waits for at least one event.  fd -1: no more questions are wanted now. */
static int
step(int fd)
{
	struct pollfd extra = { fd, POLLIN, 0 };

	if (buffer_flush(buffer_1) == -1)
		die(EXIT_TEMP, "unable to write answers", "", errno);
	asker_step(&all, &extra);
	return extra.revents != 0;
}

static void
number(char *tag, unsigned int u)
{
	char text[ASKER_TAG + 1];
	char *s = text + ASKER_TAG;

	*s = 0;
	do
		*--s = '0' + u % 10;
	while (u /= 10);
	memcpy(tag, s, strlen(s) + 1);
}

/* Pairs of type and name: everything is checked before anything is asked. */
static int
ask_arguments(int argc, char **argv, int64_t patience)
{
	int64_t deadline = clock_ms() + patience;
	struct question *q;
	struct dnsname name;
	char text[ASKER_TAG + 1];
	int i, r;

	for (i = 0; i + 1 < argc; i += 2) {
		r = dnspacket_name(&name, argv[i], argv[i + 1]);
		out_of_memory_if(r);
		number(text, i / 2 + 1);
		if (r == 0)	/* the name may be foreign: not shown */
			die(EXIT_USAGE, "unknown type, or malformed name, in "
			    "question ", text, 0);
	}
	if (i != argc)
		usage();
	for (i = 0; i < argc; i += 2) {
		while (!(q = asker_slot(&all)))
			step(-1);
		number(q->tag, i / 2 + 1);
		dnspacket_name(&q->name, argv[i], argv[i + 1]);
		q->deadline = deadline;
		asker_start(&all, q);
	}
	while (all.open)
		step(-1);
	return argc == 2 ? codes[last_result] : EXIT_DONE;
}

static int
good_tag(char const *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n && n <= ASKER_TAG && !s[n];
}

static void
refuse(char const *tag, char const *why)
{
	buffer_putm(buffer_1, tag, " - - failed - ", why, "\n");
}

/* Cuts the next word off *s.  0 at the end. */
static char *
word(char **s)
{
	char *w = *s + strspn(*s, " \t\r");

	*s = w + strcspn(w, " \t\r");
	if (**s)
		*(*s)++ = 0;
	return *w ? w : 0;
}

/* One line: tag, type, name.  A slot is free. */
static void
ask_line(char *line, int64_t patience)
{
	char *tag = word(&line), *type = word(&line), *name = word(&line);
	struct question *q = asker_slot(&all);
	int r;

	if (!tag)
		return;
	if (!good_tag(tag)) {
		refuse("-", "malformed-tag");
		return;
	}
	if (!name || word(&line)) {
		refuse(tag, "malformed-question");
		return;
	}
	r = dnspacket_name(&q->name, type, name);
	out_of_memory_if(r);
	if (r == 0) {
		refuse(tag, "malformed-question");
		return;
	}
	memcpy(q->tag, tag, strlen(tag) + 1);
	q->deadline = clock_ms() + patience;
	asker_start(&all, q);
}

/* Asks what stands in the buffer, while slots are free.  1; 0 no whole line
 * is left. */
static int
ask_buffered(int64_t patience)
{
	char *lf;
	size_t n;

	while (asker_slot(&all)) {
		lf = memchr(in.buf, '\n', in.used);
		if (!lf && in.used > LINE) {
			if (!in.skipping)
				refuse("-", "line-too-long");
			in.skipping = 1;
			in.used = 0;
		}
		if (!lf)
			return 0;
		*lf = 0;
		n = lf + 1 - in.buf;
		if (in.skipping)
			in.skipping = 0;
		else if (strlen(in.buf) != n - 1 || n > LINE)
			refuse("-", "malformed-question");
		else
			ask_line(in.buf, patience);
		in.used -= n;
		memmove(in.buf, lf + 1, in.used);
	}
	return 1;
}

static void
read_more(void)
{
	ssize_t r = read(0, in.buf + in.used, sizeof in.buf - in.used);

	if (r > 0)
		in.used += r;
	else if (r == 0)
		in.ended = 1;
	else if (errno != EINTR && errno != EAGAIN)
		die(EXIT_TEMP, "unable to read questions", "", errno);
}

static int
ask_lines(int64_t patience)
{
	int more;

	for (;;) {
		more = ask_buffered(patience);
		if (!more && in.ended && !all.open)
			break;
		if (step(more || in.ended ? -1 : 0))
			read_more();
	}
	return 0;
}

int
main(int argc, char **argv)
{
	int64_t patience = DEADLINE * 1000;
	char const *what;
	int c, code;

	while ((c = getopt(argc, argv, "+t:")) != -1)
		if (c == 't')
			patience = seconds(optarg);
		else
			usage();
	if (resolvers_find(&all.servers, &what) == -1)
		die(EXIT_TEMP, "unable to read ", what, errno);
	all.done = answered;
	jail();
	if (optind < argc)
		code = ask_arguments(argc - optind, argv + optind, patience);
	else
		code = ask_lines(patience);
	if (buffer_flush(buffer_1) == -1)
		die(EXIT_TEMP, "unable to write answers", "", errno);
	return code;
}
