#include "pop3d/login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pop3d/capabilities.h"
#include "pop3d/saslplain.h"

enum {
	LINE = 1024,		/* RFC 2449 4: 255 octets; passwords differ */
	COMMANDS = 30,		/* before a login */
	COMPLETE = 2		/* of a command: there is a record */
};

static char const REFUSED[] =
    "-ERR [SYS/PERM] no passwords over an unencrypted connection\r\n";
static char const TOO_LONG[] = "-ERR line too long\r\n";
static char const SYNTAX[] = "-ERR syntax error\r\n";

struct argument {
	char const *s;
	size_t n;
};

/* Appends a field and its NUL.  1; 0: it does not fit. */
static int
field(struct pop3login *l, char const *s, size_t n)
{
	if (n >= sizeof l->record - l->used)
		return 0;
	memcpy(l->record + l->used, s, n);
	l->used += n;
	l->record[l->used++] = 0;
	return 1;
}

/* Those before it stay as they are if the rest does not fit. */
static int
complete(io *i, struct pop3login *l, char const *s, size_t n)
{
	size_t before = l->used;

	if (field(l, s, n) && field(l, l->stamp, strlen(l->stamp)))
		return COMPLETE;
	l->used = before;
	return io_puts(i, "-ERR password too long\r\n");
}

static int
cmd_user(io *i, struct pop3login *l, struct argument a)
{
	/* here, so that the password is not sent in vain; the same for all */
	if (!l->allowed)
		return io_puts(i, REFUSED);
	l->used = 0;
	if (!a.n)
		return io_puts(i, SYNTAX);
	if (!field(l, a.s, a.n)) {
		l->used = 0;
		return io_puts(i, "-ERR name too long\r\n");
	}
	return io_puts(i, "+OK\r\n");
}

static int
cmd_pass(io *i, struct pop3login *l, struct argument a)
{
	if (!l->allowed)
		return io_puts(i, REFUSED);
	if (!l->used)
		return io_puts(i, "-ERR USER first\r\n");
	return complete(i, l, a.s, a.n);
}

/* The digest shows no password: it may cross any line (RFC 1939 7). */
static int
cmd_apop(io *i, struct pop3login *l, struct argument a)
{
	char const *digest = memchr(a.s, ' ', a.n);
	size_t name = digest ? (size_t)(digest - a.s) : 0;

	if (!l->apop)
		return io_puts(i, "-ERR no APOP here\r\n");
	if (!name || a.n - name - 1 != 32)
		return io_puts(i, SYNTAX);
	l->used = 0;
	if (!field(l, a.s, name)) {
		l->used = 0;
		return io_puts(i, "-ERR name too long\r\n");
	}
	return complete(i, l, digest + 1, 32);
}

static int
plain(io *i, struct pop3login *l, struct argument a)
{
	struct saslplain m;
	int r;

	if (a.n == 1 && *a.s == '*')
		return io_puts(i, "-ERR cancelled\r\n");
	l->used = 0;
	if (!saslplain_parse(a.s, a.n, &m))
		r = io_puts(i, SYNTAX);
	else if (!field(l, m.login, strlen(m.login)))
		r = io_puts(i, "-ERR name too long\r\n");
	else
		r = complete(i, l, m.password, strlen(m.password));
	explicit_bzero(&m, sizeof m);
	if (r != COMPLETE)
		l->used = 0;
	return r;
}

/* RFC 5034 4: an empty challenge, and the client's message on a line. */
static int
challenged(io *i, struct pop3login *l)
{
	struct argument a;
	int r;

	if (io_puts(i, "+ \r\n") == -1)
		return -1;
	r = io_line(i, &a.s, &a.n, LINE);
	if (r == -1 && errno == EMSGSIZE)
		return io_puts(i, TOO_LONG);
	if (r != 1)
		return r;
	if (a.n && a.s[a.n-1] == '\r')
		a.n--;
	return plain(i, l, a);
}

static int
cmd_auth(io *i, struct pop3login *l, struct argument a)
{
	/* a list of mechanisms, as clients older than CAPA ask for it */
	if (!a.n)
		return io_puts(i, l->allowed ? "+OK\r\nPLAIN\r\n.\r\n" :
		    "+OK\r\n.\r\n");
	if (a.n < 5 || strncasecmp(a.s, "PLAIN", 5) != 0 ||
	    (a.n > 5 && a.s[5] != ' '))
		return io_puts(i, "-ERR unknown mechanism\r\n");
	if (!l->allowed)
		return io_puts(i, REFUSED);
	if (a.n < 7)
		return challenged(i, l);
	a.s += 6;
	a.n -= 6;
	return plain(i, l, a);
}

/* RFC 2595 4: what was said before is forgotten. */
static int
cmd_stls(io *i, struct pop3login *l, struct argument a)
{
	int r;

	if (!l->start_tls)
		return io_puts(i, "-ERR no TLS here, or already\r\n");
	if (a.n)
		return io_puts(i, SYNTAX);
	r = l->start_tls(l, i);
	if (r != 1)
		return r == 0 ? 1 : -1;
	io_discard(i);
	l->start_tls = 0;
	l->allowed = 1;
	l->used = 0;
	return 1;
}

static int
cmd_capa(io *i, struct pop3login *l, struct argument a)
{
	char delay[64];

	(void)a;
	snprintf(delay, sizeof delay, "LOGIN-DELAY %u\r\n", l->delay);
	if (io_puts(i, "+OK capability list follows\r\n") == -1 ||
	    (l->start_tls && io_puts(i, "STLS\r\n") == -1) ||
	    (l->allowed && io_puts(i, "USER\r\nSASL PLAIN\r\n") == -1) ||
	    (l->delay && io_puts(i, delay) == -1))
		return -1;
	return io_puts(i, CAPABILITIES ".\r\n");
}

/* RFC 6856 2.1.  Nothing depends on it: messages go out as they are. */
static int
cmd_utf8(io *i, struct pop3login *l, struct argument a)
{
	(void)l;
	return io_puts(i, a.n ? SYNTAX : "+OK\r\n");
}

static int
cmd_quit(io *i, struct pop3login *l, struct argument a)
{
	(void)l;
	(void)a;
	return io_puts(i, "+OK\r\n") == -1 ? -1 : 0;
}

/* 1 go on; COMPLETE; 0 the end; -1 */
static struct {
	char const *name;
	int (*run)(io *, struct pop3login *, struct argument);
} const commands[] = {
	{ "USER", cmd_user },
	{ "PASS", cmd_pass },
	{ "APOP", cmd_apop },
	{ "AUTH", cmd_auth },
	{ "STLS", cmd_stls },
	{ "CAPA", cmd_capa },
	{ "UTF8", cmd_utf8 },
	{ "QUIT", cmd_quit }
};

static int
command(io *i, struct pop3login *l, char const *s, size_t n)
{
	struct argument a;
	char const *blank;
	size_t verb, k;

	if (n && s[n-1] == '\r')
		n--;
	if (memchr(s, 0, n))
		return io_puts(i, SYNTAX);
	blank = memchr(s, ' ', n);
	verb = blank ? (size_t)(blank - s) : n;
	/* one blank: more may belong to a password (RFC 1939 7) */
	a.s = s + verb + (blank != 0);
	a.n = n - verb - (blank != 0);
	for (k = 0; k < sizeof commands / sizeof *commands; k++)
		if (strlen(commands[k].name) == verb &&
		    strncasecmp(s, commands[k].name, verb) == 0)
			return commands[k].run(i, l, a);
	return io_puts(i, "-ERR authorization first\r\n");
}

/* Clients that see a stamp try APOP, so it is shown only where that works. */
static int
greet(io *i, struct pop3login const *l)
{
	if (!l->apop)
		return io_puts(i, "+OK POP3\r\n");
	return io_puts(i, "+OK POP3 ") == 1 && io_puts(i, l->stamp) == 1 ?
	    io_puts(i, "\r\n") : -1;
}

int
login_run(io *i, struct pop3login *l)
{
	unsigned int count;
	char const *line;
	size_t n;
	int r;

	l->used = 0;
	io_deadline(i, l->timeout);
	if (greet(i, l) == -1)
		return -1;
	for (count = 0; count < COMMANDS; count++) {
		r = io_line(i, &line, &n, LINE);
		if (r == 1)
			r = command(i, l, line, n);
		else if (r == -1 && errno == EMSGSIZE)
			r = io_puts(i, TOO_LONG);
		if (r != 1)
			return io_flush(i) == -1 ? -1 : r == COMPLETE ? 1 : r;
	}
	if (io_puts(i, "-ERR too many commands, goodbye\r\n") == -1)
		return -1;
	return io_flush(i) == -1 ? -1 : 0;
}
