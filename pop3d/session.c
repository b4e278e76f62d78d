#include "pop3d/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/types.h>

#include "pop3d/capabilities.h"
#include "pop3d/octets.h"

enum {
	LINE = 512,	/* RFC 2449 4: 255 octets; some clients send more */
	MISTAKES = 100,	/* commands refused, in one session */
	BLOCK = 16384,	/* of a long answer: one write(2) each */
	PIECE = 5120	/* of a message: grows to 3 * PIECE at most */
};

static char const SYNTAX[] = "-ERR syntax error\r\n";
static char const NO_SUCH[] = "-ERR no such message\r\n";
static char const DELETED[] = "-ERR message is deleted\r\n";
static char const GONE[] = "-ERR [SYS/TEMP] unable to read that message\r\n";

struct session {
	io *i;
	struct maildrop *d;
	unsigned int timeout;
	size_t last;		/* highest message read so far */
	unsigned int mistakes;
	int quit;
	size_t used;		/* of block */
	char block[BLOCK];
};

/* A client has its time for each block: a long message over a slow line takes
 * as long as it takes.  1, or -1: the network is gone
 */
static int
flush_block(struct session *s)
{
	size_t n = s->used;

	s->used = 0;
	io_deadline(s->i, s->timeout);
	return n ? io_put(s->i, s->block, n) : 1;
}

static char *
room(struct session *s, size_t n)
{
	if (n > sizeof s->block - s->used && flush_block(s) == -1)
		return 0;
	return s->block + s->used;
}

static int
put(struct session *s, char const *text, size_t n)
{
	char *to = room(s, n);

	if (!to)
		return -1;
	memcpy(to, text, n);
	s->used += n;
	return 1;
}

static int
say(struct session *s, char const *text)
{
	s->mistakes += *text == '-';
	return io_puts(s->i, text);
}

static int
ok(struct session *s)
{
	return say(s, "+OK\r\n");
}

/* One argument that is a whole decimal number.  1, 0. */
static int
number(char const *arg, uint64_t *out)
{
	return *arg >= '0' && *arg <= '9' && uint640_scan(arg, out);
}

/* The message that arg numbers, not deleted.  1; 0 after the client has been
 * told; -1.
 */
static int
message(struct session *s, char const *arg, size_t *out)
{
	char const *trouble = 0;
	uint64_t u;

	if (!number(arg, &u))
		trouble = SYNTAX;
	else if (u < 1 || u > s->d->count)
		trouble = NO_SUCH;
	else if (s->d->msg[u-1].deleted)
		trouble = DELETED;
	if (trouble)
		return say(s, trouble) == -1 ? -1 : 0;
	*out = u - 1;
	return 1;
}

static int
cmd_stat(struct session *s, char *arg)
{
	uint64_t total = 0, size, count = 0;
	char line[64];
	size_t i;

	(void)arg;
	for (i = 0; i < s->d->count; i++) {
		if (s->d->msg[i].deleted)
			continue;
		count++;
		if (maildrop_size(s->d, i, &size) == 1)
			total += size;
	}
	snprintf(line, sizeof line, "+OK %llu %llu\r\n",
	    (unsigned long long)count, (unsigned long long)total);
	return say(s, line);
}

/* "number size" or "number uid" behind the prefix, into the block; by hand:
 * printf costs more than all else in a listing of 100,000.
 */
static int
entry(struct session *s, char const *prefix, size_t i, int uids)
{
	char line[16 + 2 * UINT64_FMT + MAILDROP_UID];
	size_t n = strlen(prefix);
	uint64_t size;

	memcpy(line, prefix, n);
	n += uint64_fmt(line + n, i + 1);
	line[n++] = ' ';
	if (uids) {
		maildrop_uid(s->d, i, line + n);
		n += strlen(line + n);
	} else {
		/* gone meanwhile: RETR will say so */
		if (maildrop_size(s->d, i, &size) == -1)
			size = 0;
		n += uint64_fmt(line + n, size);
	}
	memcpy(line + n, "\r\n", 2);
	return put(s, line, n + 2);
}

static int
listing(struct session *s, char *arg, int uids)
{
	size_t i;
	int r;

	if (*arg) {
		r = message(s, arg, &i);
		if (r != 1)
			return r;
		return entry(s, "+OK ", i, uids) == 1 ? flush_block(s) : -1;
	}
	if (put(s, "+OK\r\n", 5) == -1)
		return -1;
	for (i = 0; i < s->d->count; i++)
		if (!s->d->msg[i].deleted && entry(s, "", i, uids) == -1)
			return -1;
	return put(s, ".\r\n", 3) == 1 ? flush_block(s) : -1;
}

static int
cmd_list(struct session *s, char *arg)
{
	return listing(s, arg, 0);
}

static int
cmd_uidl(struct session *s, char *arg)
{
	return listing(s, arg, 1);
}

/* The file as lines, then the final dot.  1; -1, also when the file cannot be
 * read to its end: the client must not take a part for the whole.
 */
static int
send_lines(struct session *s, int fd, uint64_t lines)
{
	struct octets o = OCTETS_ZERO;
	char in[PIECE], *to;
	char const *tail;
	ssize_t r = 0;
	int end = 0;

	o.lines = lines;
	while (!end && (r = fd_read(fd, in, sizeof in)) > 0) {
		to = room(s, 3 * sizeof in);
		if (!to)
			return -1;
		s->used += octets_convert(&o, in, r, to, &end);
	}
	if (r == -1)
		return -1;
	tail = octets_end(&o);
	if (put(s, tail, strlen(tail)) == -1 || put(s, ".\r\n", 3) == -1)
		return -1;
	return flush_block(s);
}

static int
retrieve(struct session *s, size_t i, uint64_t lines)
{
	struct mailmsg const *m = s->d->msg + i;
	int fd = maildrop_file(s->d, i);
	char first[64];
	int r;

	if (fd == -1)
		return io_puts(s->i, GONE);	/* no mistake of the client */
	if (lines == UINT64_MAX && m->size != MAILDROP_UNKNOWN)
		snprintf(first, sizeof first, "+OK %llu octets\r\n",
		    (unsigned long long)m->size);
	else
		snprintf(first, sizeof first, "+OK\r\n");
	r = put(s, first, strlen(first));
	if (r == 1)
		r = send_lines(s, fd, lines);
	close(fd);
	if (r == 1 && i + 1 > s->last)
		s->last = i + 1;
	return r;
}

static int
cmd_retr(struct session *s, char *arg)
{
	size_t i;
	int r = message(s, arg, &i);

	return r == 1 ? retrieve(s, i, UINT64_MAX) : r;
}

static int
cmd_top(struct session *s, char *arg)
{
	char *second = arg + strcspn(arg, " ");
	uint64_t lines;
	size_t i;
	int r;

	if (*second)
		*second++ = 0;
	if (!number(second, &lines))
		return say(s, SYNTAX);
	r = message(s, arg, &i);
	return r == 1 ? retrieve(s, i, lines) : r;
}

static int
cmd_dele(struct session *s, char *arg)
{
	size_t i;
	int r = message(s, arg, &i);

	if (r != 1)
		return r;
	s->d->msg[i].deleted = 1;
	if (i + 1 > s->last)
		s->last = i + 1;
	return ok(s);
}

static int
cmd_rset(struct session *s, char *arg)
{
	size_t i;

	(void)arg;
	for (i = 0; i < s->d->count; i++)
		s->d->msg[i].deleted = 0;
	s->last = 0;
	return ok(s);
}

static int
cmd_last(struct session *s, char *arg)
{
	char line[32];

	(void)arg;
	snprintf(line, sizeof line, "+OK %lu\r\n", (unsigned long)s->last);
	return say(s, line);
}

static int
cmd_noop(struct session *s, char *arg)
{
	(void)arg;
	return ok(s);
}

static int
cmd_capa(struct session *s, char *arg)
{
	(void)arg;
	return say(s, "+OK capability list follows\r\n" CAPABILITIES ".\r\n");
}

static int
cmd_quit(struct session *s, char *arg)
{
	(void)arg;
	s->quit = 1;
	if (maildrop_commit(s->d) == 1)
		return ok(s);
	return say(s, "-ERR [SYS/TEMP] some deleted messages not removed\r\n");
}

static struct {
	char const *name;
	int (*run)(struct session *, char *arg);	/* -1: hang up */
} const commands[] = {
	{ "RETR", cmd_retr },
	{ "DELE", cmd_dele },
	{ "TOP", cmd_top },
	{ "LIST", cmd_list },
	{ "UIDL", cmd_uidl },
	{ "STAT", cmd_stat },
	{ "NOOP", cmd_noop },
	{ "RSET", cmd_rset },
	{ "LAST", cmd_last },
	{ "CAPA", cmd_capa },
	{ "QUIT", cmd_quit }
};

static int
command(struct session *s, char const *line, size_t n)
{
	char text[LINE + 1], *arg;
	size_t i;

	if (n && line[n-1] == '\r')
		n--;
	while (n && line[n-1] == ' ')
		n--;
	if (memchr(line, 0, n))
		return say(s, SYNTAX);
	memcpy(text, line, n);
	text[n] = 0;
	arg = text + strcspn(text, " ");
	while (*arg == ' ')
		*arg++ = 0;
	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcasecmp(text, commands[i].name) == 0)
			return commands[i].run(s, arg);
	return say(s, "-ERR unknown command\r\n");
}

static int
talk(struct session *s)
{
	char const *line;
	size_t n;
	int r;

	while (!s->quit && s->mistakes < MISTAKES) {
		io_deadline(s->i, s->timeout);
		r = io_line(s->i, &line, &n, LINE);
		if (r == 0)
			return 0;
		if (r == 1)
			r = command(s, line, n);
		else if (errno == EMSGSIZE)
			r = say(s, "-ERR line too long\r\n");
		if (r == -1)
			return -1;
	}
	if (!s->quit)
		say(s, "-ERR too many mistakes, goodbye\r\n");
	io_deadline(s->i, s->timeout);
	return io_flush(s->i) == -1 || !s->quit ? -1 : 1;
}

int
session_run(io *i, struct maildrop *d, unsigned int timeout)
{
	static struct session s;	/* zeroed, untouched until used */

	s.i = i;
	s.d = d;
	s.timeout = timeout;
	s.last = 0;
	s.mistakes = 0;
	s.quit = 0;
	s.used = 0;
	/* the answer to PASS, which the program before us left to us */
	io_deadline(i, timeout);
	return ok(&s) == -1 ? -1 : talk(&s);
}
