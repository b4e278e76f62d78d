#include "remote/server.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <skalibs/types.h>

#include "remote/auth.h"

void
server_patience(struct server *s)
{
	io_deadline(&s->io, s->patience);
	if (s->io.deadline > s->until)
		s->io.deadline = s->until;
}

void
server_limit(struct server *s, uint64_t seconds)
{
	s->until = s->io.now(&s->io) + seconds;
}

int
server_command(struct server *s, char const *line)
{
	return io_puts(&s->io, line) == 1 && io_puts(&s->io, "\r\n") == 1 ?
	    1 : -1;
}

int
server_reply(struct server *s)
{
	int r;

	server_patience(s);
	r = reply_read(&s->io, &s->reply);
	if (r != 1)
		s->broke = r == 0 ? 0 : errno;
	return r == 1 ? 1 : -1;
}

/* One command and its reply.  Something that it said before it was asked
 * would be taken for the answer: such a server is of no use.
 */
static int
ask(struct server *s, char const *verb, char const *argument)
{
	s->broke = EPROTO;
	if (io_pending(&s->io))
		return -1;
	server_patience(s);
	if (io_puts(&s->io, verb) == 1 && server_command(s, argument) == 1)
		return server_reply(s);
	s->broke = errno;
	return -1;
}

void
server_refused(struct server *s, struct report *p, char letter,
    char const *what)
{
	report_set(p, letter, (char const *const []){ "Connected to ", s->name,
	    " but ", what, ".\n", 0 });
	report_said(p, &s->reply);
}

static char const *
why(int e)
{
	switch (e) {
	case 0:
		return "It closed the connection";
	case ETIMEDOUT:
		return "It did not answer in time";
	case EPROTO:
		return "What it said was no answer";
	case EMSGSIZE:
		return "Its answer was too long";
	default:
		return strerror(e);
	}
}

void
server_died(struct server *s, struct report *p, int critical)
{
	report_temp(p, "Connected to ", s->name, " but connection died. ",
	    critical ? "Possible duplicate! " : "", "(#4.4.2)\n",
	    why(s->broke), ".\n");
}

/* Is the first word of the line this keyword?  *rest: what follows. */
static int
keyword(char const *s, size_t n, char const *word, char const **rest,
    size_t *left)
{
	size_t len = strlen(word);

	if (n < len || strncasecmp(s, word, len) ||
	    (n > len && s[len] != ' ' && s[len] != '='))
		return 0;
	*rest = n > len ? s + len + 1 : s + n;
	*left = n > len ? n - len - 1 : 0;
	return 1;
}

static void
mechanisms(struct server *s, char const *list, size_t n)
{
	size_t i, len;

	for (i = 0; i < n; i += len + 1) {
		char const *blank = memchr(list + i, ' ', n - i);

		len = blank ? (size_t)(blank - list) - i : n - i;
		if (len == 5 && !strncasecmp(list + i, "PLAIN", 5))
			s->offers |= SERVER_PLAIN;
		if (len == 5 && !strncasecmp(list + i, "LOGIN", 5))
			s->offers |= SERVER_LOGIN;
	}
}

static void
size_limit(struct server *s, char const *text, size_t n)
{
	uint64_t u = 0;
	size_t i;

	/* 19 digits fit; a number with more is no limit */
	for (i = 0; i < n && n < 20 && text[i] >= '0' && text[i] <= '9'; i++)
		u = u * 10 + (text[i] - '0');
	s->offers |= SERVER_SIZE;
	s->size = u;
}

static void
extensions(struct server *s)
{
	char const *line, *rest;
	size_t n, left, pos = 0;

	reply_line(&s->reply, &pos, &line, &n);	/* its name */
	while (reply_line(&s->reply, &pos, &line, &n)) {
		if (keyword(line, n, "PIPELINING", &rest, &left))
			s->offers |= SERVER_PIPELINING;
		else if (keyword(line, n, "8BITMIME", &rest, &left))
			s->offers |= SERVER_8BITMIME;
		else if (keyword(line, n, "STARTTLS", &rest, &left))
			s->offers |= SERVER_STARTTLS;
		else if (keyword(line, n, "SIZE", &rest, &left))
			size_limit(s, rest, left);
		else if (keyword(line, n, "AUTH", &rest, &left))
			mechanisms(s, rest, left);
	}
}

/* 1; 0 as server_ready */
static int
hello(struct server *s, char const *helo, struct report *p)
{
	int r;

	s->offers = 0;
	s->size = 0;
	r = ask(s, "EHLO ", helo);
	if (r == 1 && s->reply.code == 250) {
		extensions(s);
		return 1;
	}
	if (r == 1 && s->reply.code != 421)
		r = ask(s, "HELO ", helo);
	if (r == -1) {
		server_died(s, p, 0);
		return 0;
	}
	if (s->reply.code == 250)
		return 1;
	/* no fault of the message's: as a greeting that fails */
	server_refused(s, p, 'Z', "my name was rejected");
	return 0;
}

static int
greeting(struct server *s, struct report *p)
{
	if (server_reply(s) == -1) {
		server_died(s, p, 0);
		return 0;
	}
	if (s->reply.code == 220)
		return 1;
	/* RFC 5321 3.1 has 554 here; another host may be willing */
	server_refused(s, p, 'Z', "greeting failed");
	return 0;
}

static int
no_tls(struct server *s, struct report *p, char const *what)
{
	report_temp(p, "Connected to ", s->name, " but ", what, ", and ",
	    s->tls->why, " asks for TLS. (#4.7.5)\n");
	return 0;
}

static int
go_secret(struct server *s, struct report *p)
{
	if (s->encrypt(s, p) != 1) {
		s->tls_failed = 1;
		return 0;
	}
	s->secure = 1;
	return 1;
}

/* RFC 3207.  What it has said before TLS begins is nobody's word: bytes behind
 * the answer to STARTTLS are an attempt to slip us some.
 */
static int
starttls(struct server *s, char const *helo, struct report *p)
{
	if (!(s->offers & SERVER_STARTTLS))
		return s->tls->level == TLS_MAY ? 1 :
		    no_tls(s, p, "it does not offer STARTTLS");
	if (ask(s, "STARTTLS", "") == -1) {
		server_died(s, p, 0);
		s->tls_failed = 1;
		return 0;
	}
	if (s->reply.code != 220) {
		if (s->tls->level == TLS_MAY && s->reply.code != 421)
			return 1;
		server_refused(s, p, 'Z', "STARTTLS was refused");
		s->tls_failed = 1;
		return 0;
	}
	if (io_pending(&s->io)) {
		report_temp(p, "Connected to ", s->name, " but it sent more "
		    "behind its answer to STARTTLS. (#4.7.5)\n");
		s->tls_failed = 1;
		return 0;
	}
	return go_secret(s, p) == 1 ? hello(s, helo, p) : 0;
}

int
server_ready(struct server *s, char const *helo,
    struct smtproute const *route, struct report *p)
{
	int r = 1;

	s->tls_failed = 0;
	if (s->tls->level != TLS_NO && s->tls->at_once)
		r = go_secret(s, p);
	if (r == 1)
		r = greeting(s, p);
	if (r == 1)
		r = hello(s, helo, p);
	if (r == 1 && s->tls->level != TLS_NO && !s->tls->at_once)
		r = starttls(s, helo, p);
	return r == 1 && route->user_len ? auth(s, route, p) : r;
}
