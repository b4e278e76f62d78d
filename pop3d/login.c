#include "pop3d/login.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum {
	LINE = 1024,		/* RFC 2449 4: 255 octets; passwords differ */
	COMMANDS = 30		/* before a login */
};

static char const REFUSED[] =
    "-ERR [SYS/PERM] no passwords over an unencrypted connection\r\n";

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

static int
user(io *i, struct pop3login *l, char const *s, size_t n)
{
	/* here, so that the password is not sent in vain; the same for all */
	if (!l->allowed)
		return io_puts(i, REFUSED);
	l->used = 0;
	if (!n)
		return io_puts(i, "-ERR syntax error\r\n");
	if (!field(l, s, n)) {
		l->used = 0;
		return io_puts(i, "-ERR name too long\r\n");
	}
	return io_puts(i, "+OK\r\n");
}

/* 2: the record is complete */
static int
pass(io *i, struct pop3login *l, char const *s, size_t n)
{
	size_t before = l->used;

	if (!l->allowed)
		return io_puts(i, REFUSED);
	if (!before)
		return io_puts(i, "-ERR USER first\r\n");
	if (field(l, s, n) && field(l, l->stamp, strlen(l->stamp)))
		return 2;
	l->used = before;
	return io_puts(i, "-ERR password too long\r\n");
}

static int
capa(io *i, struct pop3login const *l)
{
	if (io_puts(i, "+OK capability list follows\r\n") == -1 ||
	    (l->allowed && io_puts(i, "USER\r\n") == -1))
		return -1;
	return io_puts(i, "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
	    "PIPELINING\r\nEXPIRE NEVER\r\nIMPLEMENTATION postern\r\n.\r\n");
}

static int
is(char const *s, size_t n, char const *word)
{
	return n == strlen(word) && strncasecmp(s, word, n) == 0;
}

/* 1 go on; 2 the record is complete; 0 the end; -1 */
static int
command(io *i, struct pop3login *l, char const *s, size_t n)
{
	char const *blank, *arg;
	size_t verb, rest;

	if (n && s[n-1] == '\r')
		n--;
	if (memchr(s, 0, n))
		return io_puts(i, "-ERR syntax error\r\n");
	blank = memchr(s, ' ', n);
	verb = blank ? (size_t)(blank - s) : n;
	/* one blank: more may belong to a password (RFC 1939 7) */
	arg = s + verb + (blank != 0);
	rest = n - verb - (blank != 0);
	if (is(s, verb, "USER"))
		return user(i, l, arg, rest);
	if (is(s, verb, "PASS"))
		return pass(i, l, arg, rest);
	if (is(s, verb, "CAPA"))
		return capa(i, l);
	if (is(s, verb, "QUIT"))
		return io_puts(i, "+OK\r\n") == -1 ? -1 : 0;
	return io_puts(i, "-ERR authorization first\r\n");
}

int
login_run(io *i, struct pop3login *l, unsigned int timeout)
{
	unsigned int count;
	char const *line;
	size_t n;
	int r;

	l->used = 0;
	io_deadline(i, timeout);
	/* no stamp in it: curl and others would try APOP (RFC 1939 7) */
	if (io_puts(i, "+OK POP3\r\n") == -1)
		return -1;
	for (count = 0; count < COMMANDS; count++) {
		io_deadline(i, timeout);
		r = io_line(i, &line, &n, LINE);
		if (r == 1)
			r = command(i, l, line, n);
		else if (r == -1 && errno == EMSGSIZE)
			r = io_puts(i, "-ERR line too long\r\n");
		if (r != 1)
			return io_flush(i) == -1 ? -1 : r == 2 ? 1 : r;
	}
	if (io_puts(i, "-ERR too many commands, goodbye\r\n") == -1)
		return -1;
	return io_flush(i) == -1 ? -1 : 0;
}
