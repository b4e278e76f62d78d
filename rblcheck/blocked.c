#include "rblcheck/blocked.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/limits.h"

#include "rblcheck/through.h"

/* rblsmtpd's, which people and log tools know it by */
static char const greeting[] = "220 rblsmtpd.local";
static char const accepted[] = "250 rblsmtpd.local";
static char const goodbye[] = "221 rblsmtpd.local";
static char const broken[] = "451 the mail server cannot be reached (#4.3.0)";

enum { AFTERWARDS = 60 };	/* seconds that a client has after a message */

struct command {
	char const *s;		/* the line, without CR */
	size_t n;
	size_t verb;		/* length of its first word */
	size_t arg;		/* offset of the rest */
};

static int
append_text(stralloc *out, char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && i < BLOCKED_TEXT; i++)
		if (!stralloc_append(out, s[i] < 32 || s[i] > 126 ? '?' : s[i]))
			return -1;
	return 1;
}

int
blocked_reply(stralloc *out, int bounce, char const *s, size_t n)
{
	return stralloc_cats(out, bounce ? "553 " : "451 ") ?
	    append_text(out, s, n) : -1;
}

int
blocked_value(stralloc *out, int bounce, char const *s, size_t n)
{
	char const *front = bounce ? "-" : !n || *s == '-' ? " " : "";

	return stralloc_cats(out, front) ? append_text(out, s, n) : -1;
}

static int
say(io *client, char const *line)
{
	return io_puts(client, line) == 1 && io_puts(client, "\r\n") == 1 ?
	    1 : -1;
}

static struct command
parse(char const *s, size_t n)
{
	struct command c = { .s = s };

	if (n && s[n-1] == '\r')
		n--;
	c.n = n;
	while (c.verb < n && s[c.verb] != ' ')
		c.verb++;
	c.arg = c.verb;
	while (c.arg < n && s[c.arg] == ' ')
		c.arg++;
	return c;
}

static int
is(struct command const *c, char const *verb)
{
	return c->verb == strlen(verb) && strncasecmp(c->s, verb, c->verb) == 0;
}

/* What is between the brackets of "from:<x>", or all behind the colon, as a C
 * string: a NUL ends it.  Lost to the log if there is no memory. */
static void
path(stralloc *out, struct command const *c)
{
	char const *s = c->s + c->arg;
	size_t n = c->n - c->arg;
	char const *colon = memchr(s, ':', n);
	char const *close;

	if (colon) {
		n -= colon + 1 - s;
		s = colon + 1;
	}
	while (n && *s == ' ') {
		s++;
		n--;
	}
	close = n && *s == '<' ? memchr(s, '>', n) : 0;
	if (close) {
		s++;
		n = close - s;
	}
	if (!stralloc_copyb(out, s, n) || !stralloc_0(out))
		out->len = 0;
}

/* Nothing in it that has no place in a command, and would make it another one
 * to the server. */
static int
clean(char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && s[i] >= 32 && s[i] != 127; i++)
		;
	return i == n;
}

/* As a C string.  1; 0 no memory. */
static int
keep(stralloc *out, char const *s, size_t n)
{
	out->len = 0;
	return stralloc_catb(out, s, n) && stralloc_0(out);
}

static char const *
text(stralloc const *sa)
{
	return sa->len ? sa->s : "";
}

/* The name for the server. */
static char const *
helo_of(struct blocked const *b)
{
	char const *s = text(&b->helo);

	return *s && clean(s, strlen(s)) ? s : "unknown";
}

/* RFC 5321 4.5.1: "postmaster", alone or at any domain; which of those are
 * ours the server knows. */
static int
postmaster(struct blocked const *b)
{
	char const *s = text(&b->rcpt);

	return strncasecmp(s, "postmaster", 10) == 0 &&
	    (s[10] == 0 || s[10] == '@');
}

static int
refuse(io *client, struct blocked *b)
{
	if (b->recipients++ < BLOCKED_LOG)
		b->refused(b);
	return say(client, b->reply);
}

static int
pass_on(io *client, struct through *t, int r, stralloc const *reply)
{
	if (r == -1)
		through_close(t);
	return r == -1 ? say(client, broken) :
	    io_put(client, reply->s, reply->len);
}

static int
recipient(io *client, struct blocked *b, struct through *t,
    struct command const *c)
{
	stralloc reply = STRALLOC_ZERO;
	int r;

	path(&b->rcpt, c);
	if (!b->server || !b->mail_seen || !postmaster(b) ||
	    !clean(c->s, c->n))
		return refuse(client, b);
	r = through_open(t, b->server, helo_of(b), text(&b->mail), &reply);
	if (r == 1)
		r = through_command(t, c->s, c->n, &reply);
	if (r == 1 && *reply.s == '2')
		t->recipients++;
	r = pass_on(client, t, r, &reply);
	stralloc_free(&reply);
	return r;
}

/* 1; 0 the client left; -1 */
static int
data(io *client, struct blocked *b, struct through *t)
{
	stralloc reply = STRALLOC_ZERO;
	int r, here = 1;

	if (!t->pid || !t->recipients)
		return say(client, b->reply);
	r = through_command(t, "DATA", 4, &reply);
	if (r == 1 && *reply.s == '3') {
		here = io_put(client, reply.s, reply.len);
		if (here == 1)
			here = io_flush(client);
		r = here == 1 ? through_message(t, client, &reply) : 0;
		/* what is left of a message are no commands */
		if (r != 1)
			here = 0;
		if (r == -1)
			say(client, broken);
	}
	if (here == 1)
		here = pass_on(client, t, r, &reply);
	through_close(t);
	b->mail_seen = 0;
	io_deadline(client, AFTERWARDS);
	stralloc_free(&reply);
	return here;
}

/* A new start: whatever went before does not count.  1, -1. */
static int
start_over(io *client, struct blocked *b, struct through *t)
{
	through_close(t);
	b->mail_seen = 0;
	return say(client, accepted);
}

static int
mail(io *client, struct blocked *b, struct through *t,
    struct command const *c)
{
	int r = start_over(client, b, t);

	path(&b->from, c);
	b->mail_seen = clean(c->s, c->n) && keep(&b->mail, c->s, c->n);
	return r;
}

static int
hello(io *client, struct blocked *b, struct through *t,
    struct command const *c)
{
	keep(&b->helo, c->s + c->arg, c->n - c->arg);
	return start_over(client, b, t);
}

/* 1 go on; 0, -1 the end */
static int
obey(io *client, struct blocked *b, struct through *t,
    struct command const *c)
{
	if (is(c, "quit")) {
		say(client, goodbye);
		return 0;
	}
	if (is(c, "helo") || is(c, "ehlo"))
		return hello(client, b, t, c);
	if (is(c, "mail"))
		return mail(client, b, t, c);
	if (is(c, "rcpt"))
		return recipient(client, b, t, c);
	if (is(c, "data"))
		return data(client, b, t);
	if (is(c, "rset"))
		return start_over(client, b, t);
	return say(client, is(c, "noop") ? accepted : b->reply);
}

void
blocked_session(io *client, struct blocked *b)
{
	static struct through t;
	struct command c;
	char const *s;
	size_t n;
	int r = say(client, greeting);

	while (r == 1) {
		r = io_line(client, &s, &n, LIMIT_COMMAND);
		if (r == -1 && errno == EMSGSIZE) {
			r = say(client, b->reply);
			continue;
		}
		if (r != 1)
			break;
		c = parse(s, n);
		r = obey(client, b, &t, &c);
	}
	through_close(&t);
	io_flush(client);
	if (!b->recipients)
		b->refused(b);
}
