/* mimewalk [-hr]: show what the scanner sees in a message.  Reads a message
 * from standard input and writes a line for each of its parts, readings, file
 * names and anomalies.
 *
 * Runs as: the caller, and after its start with no rights but to read and
 * write.  Reads: standard input.  Writes: standard output.  Trusts: nobody.
 * Trusted by: administrators and tests.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/exitcode.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "scanq/walk.h"
#include "scanq/walkwire.h"

#define USAGE "mimewalk [-hr] < message"
#define die_nomem() strerr_diefu1x(EXIT_TEMP, "get memory")

enum { FULL = 65536 };		/* bytes written at a time */

struct output {
	stralloc sa;
	int headers;
	int records;
};

static void
flush(struct output *o)
{
	size_t done = 0;
	ssize_t r;

	for (; done < o->sa.len; done += (size_t)r) {
		r = write(1, o->sa.s + done, o->sa.len - done);
		if (r == -1)
			strerr_diefu1sys(EXIT_TEMP, "write");
	}
	o->sa.len = 0;
}

static void
bytes(struct output *o, char const *s, size_t n)
{
	if (!stralloc_catb(&o->sa, s, n))
		die_nomem();
}

static void
word(struct output *o, char const *s)
{
	bytes(o, s, strlen(s));
	bytes(o, " ", 1);
}

static void
number(struct output *o, uint64_t u)
{
	char fmt[UINT64_FMT];

	bytes(o, fmt, uint64_fmt(fmt, u));
}

static void
hostile(struct output *o, char const *s, size_t n)
{
	bytes(o, "\"", 1);
	if (log_escape(&o->sa, s, n) == -1)
		die_nomem();
	bytes(o, "\"", 1);
}

static void
reading(struct output *o, struct walk_event const *e)
{
	number(o, e->part);
	bytes(o, ".", 1);
	number(o, e->alt);
	bytes(o, " ", 1);
}

static void
part(struct output *o, struct walk_event const *e)
{
	word(o, "part");
	number(o, e->part);
	bytes(o, " in ", 4);
	number(o, e->parent);
	bytes(o, " depth ", 7);
	number(o, e->depth);
	bytes(o, " type ", 6);
	hostile(o, e->s, e->n);
	bytes(o, " encoding ", 10);
	hostile(o, e->t, e->tn);
}

static void
name(struct output *o, struct walk_event const *e)
{
	word(o, "name");
	number(o, e->part);
	bytes(o, " ", 1);
	word(o, walk_source_name(e->code));
	hostile(o, e->s, e->n);
	if (e->size == WALK_UNKNOWN)
		return;
	bytes(o, " size ", 6);
	number(o, e->size);
}

static void
other(struct output *o, struct walk_event const *e)
{
	switch (e->type) {
	case WALK_HEADER:
		word(o, "header");
		number(o, e->part);
		bytes(o, " ", 1);
		hostile(o, e->s, e->n);
		bytes(o, " ", 1);
		hostile(o, e->t, e->tn);
		break;
	case WALK_LEAF:
		word(o, "leaf");
		reading(o, e);
		bytes(o, walk_encoding_name(e->code),
		    strlen(walk_encoding_name(e->code)));
		break;
	case WALK_END:
		word(o, "end");
		reading(o, e);
		word(o, walk_magic_name(e->code));
		number(o, e->size);
		break;
	case WALK_ANOMALY:
		word(o, "anomaly");
		number(o, e->part);
		bytes(o, " ", 1);
		word(o, walk_anomaly_name(e->code));
		hostile(o, e->s, e->n);
		break;
	default:
		word(o, "done");
		number(o, e->size);
	}
}

static void
line(struct output *o, struct walk_event const *e)
{
	if (e->type == WALK_HEADER && !o->headers)
		return;
	if (e->type == WALK_PART)
		part(o, e);
	else if (e->type == WALK_FILE)
		name(o, e);
	else
		other(o, e);
	bytes(o, "\n", 1);
}

static void
take(void *ctx, struct walk_event const *e)
{
	struct output *o = ctx;
	unsigned char header[WALKWIRE_HEADER];

	if (o->records) {
		walkwire_put(header, e);
		bytes(o, (char const *)header, sizeof header);
		bytes(o, e->s, e->n);
		bytes(o, e->t, e->tn);
	} else
		line(o, e);
	if (o->sa.len >= FULL)
		flush(o);
}

static void
options(struct output *o, int argc, char const *const *argv)
{
	subgetopt l = SUBGETOPT_ZERO;
	int opt;

	while ((opt = subgetopt_r(argc, argv, "hr", &l)) != -1) {
		if (opt == 'h')
			o->headers = 1;
		else if (opt == 'r')
			o->records = 1;
		else
			strerr_dieusage(EXIT_USAGE, USAGE);
	}
	if (argc != l.ind)
		strerr_dieusage(EXIT_USAGE, USAGE);
}

int
main(int argc, char const *const *argv)
{
	static char buf[65536];
	struct output o = { STRALLOC_ZERO, 0, 0 };
	walk *w;
	ssize_t r;

	PROG = "mimewalk";
	options(&o, argc, argv);
	w = walk_new(take, &o, o.records ? 0 : WALK_NO_DATA);
	if (!w || !stralloc_ready(&o.sa, 4 * FULL))
		die_nomem();
	if (sandbox_pure() == -1)
		strerr_diefu1sys(EXIT_TEMP, "give up rights");
	while ((r = read(0, buf, sizeof buf)) > 0)
		walk_feed(w, buf, (size_t)r);
	if (r == -1)
		strerr_diefu1sys(EXIT_TEMP, "read message");
	walk_end(w);
	flush(&o);
	return EXIT_DONE;
}
