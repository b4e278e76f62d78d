/* Without skalibs: also for programs with the distribution's libraries. */
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/exitcode.h"
#include "lib/limits.h"

static char line[LIMIT_LOGLINE];
static size_t used;

/* The last byte of line stays free for the newline. */
static void
put(char const *s, size_t n)
{
	if (n > sizeof line - 1 - used)
		n = sizeof line - 1 - used;
	memcpy(line + used, s, n);
	used += n;
}

static int
plain(unsigned char c)
{
	return c > 32 && c < 127 && c != '\\' && c != '"' && c != ',';
}

size_t
log_escape_byte(char *out, unsigned char c)
{
	static char const hex[] = "0123456789abcdef";

	if (plain(c)) {
		*out = c;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

static void
put_escaped(char const *s, size_t n)
{
	char c[4];
	size_t i;

	for (i = 0; i < n && i < LOG_VALUE; i++)
		put(c, log_escape_byte(c, s[i]));
	if (i < n)
		put("...", 3);
}

static void
name_of(char const *name)
{
	put(" ", 1);
	put(name, strlen(name));
	put("=", 1);
}

void
log_start(char const *level, char const *event)
{
	char const *session = getenv("POSTERN_SESSION");

	used = 0;
	put(PROG, strlen(PROG));
	put(": ", 2);
	put(level, strlen(level));
	put(": ", 2);
	put(event, strlen(event));
	if (session)
		log_string("session", session);
}

void
log_value(char const *name, char const *s, size_t n)
{
	name_of(name);
	put_escaped(s, n);
}

void
log_string(char const *name, char const *s)
{
	log_value(name, s, strlen(s));
}

void
log_path(char const *name, char const *s, size_t n)
{
	name_of(name);
	put("<", 1);
	put_escaped(s, n);
	put(">", 1);
}

void
log_number(char const *name, uint64_t u)
{
	char digits[20];
	size_t n = sizeof digits;

	name_of(name);
	do {
		digits[--n] = '0' + u % 10;
		u /= 10;
	} while (u);
	put(digits + n, sizeof digits - n);
}

void
log_errno(int e)
{
	log_string("reason", strerror(e));
}

void
log_status(int status)
{
	if (WIFSIGNALED(status))
		log_number("signal", (uint64_t)WTERMSIG(status));
	else
		log_number("exit", (uint64_t)WEXITSTATUS(status));
}

void
log_end(void)
{
	ssize_t r;

	line[used++] = '\n';
	r = write(2, line, used);
	(void)r;	/* lost: see log.h */
	used = 0;
}

void
log_die(int code, char const *event, char const *name)
{
	log_start("fatal", event);
	if (name)
		log_string("name", name);
	if (code != EXIT_PERM)
		log_errno(errno);
	log_end();
	_exit(code);
}

void
bug(char const *what)
{
	log_start("fatal", "internal error, please report it");
	log_string("what", what);
	log_end();
	_exit(EXIT_TEMP);
}
