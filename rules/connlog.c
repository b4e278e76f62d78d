#include "rules/connlog.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/limits.h"
#include "rules/connenv.h"

static struct {
	enum connlog_level level;
	uint64_t next;		/* trouble may be told again */
	char localhost[CONNENV_LOCALHOST + 1];
	char text[LIMIT_LOGLINE];
	size_t used;
} lines;

/* As tcpserver's safecats: nothing that could forge a field or a line. */
static void
set_localhost(char const *s)
{
	size_t i;

	for (i = 0; s[i] && i < sizeof lines.localhost - 1; i++)
		lines.localhost[i] = s[i] < 33 || s[i] > 126 || s[i] == '%' ||
		    s[i] == ':' ? '?' : s[i];
	lines.localhost[i] = 0;
}

void
connlog_init(enum connlog_level level, char const *localhost)
{
	lines.level = level;
	if (localhost)
		set_localhost(localhost);
}

static void __attribute__((format(printf, 1, 2)))
put(char const *format, ...)
{
	enum { LONGEST = 1024 };
	va_list args;
	int n;

	if (lines.level < CONNLOG_ALL)
		return;
	if (sizeof lines.text - lines.used < LONGEST)
		connlog_flush();
	va_start(args, format);
	n = vsnprintf(lines.text + lines.used, LONGEST, format, args);
	va_end(args);
	if (n > 0 && n < LONGEST)
		lines.used += n;
}

static char *
bracketed(char *out, struct ipaddr const *a)
{
	size_t n;

	if (ipaddr_is4(a)) {
		ipaddr_fmt(out, a);
		return out;
	}
	n = ipaddr_fmt(out + 1, a);
	out[0] = '[';
	out[n + 1] = ']';
	out[n + 2] = 0;
	return out;
}

static void
put_decision(char const *what, pid_t pid, struct connection const *c,
    char const *tail)
{
	char local[IPADDR_FMT + 2], remote[IPADDR_FMT + 2];

	put("listen: %s %ld %s:%s:%u :%s::%u session=%s%s%s\n", what,
	    (long)pid, lines.localhost, bracketed(local, &c->local),
	    c->local_port, bracketed(remote, &c->remote), c->remote_port,
	    c->session, *tail ? " " : "", tail);
}

void
connlog_status(unsigned int n, unsigned int limit)
{
	put("listen: status: %u/%u\n", n, limit);
}

void
connlog_ok(pid_t pid, struct connection const *c)
{
	char remote[IPADDR_FMT];

	if (lines.level < CONNLOG_ALL)
		return;
	ipaddr_fmt(remote, &c->remote);
	put("listen: pid %ld from %s\n", (long)pid, remote);
	put_decision("ok", pid, c, "");
}

void
connlog_deny(struct connection const *c, char const *reason)
{
	if (lines.level >= CONNLOG_ALL)
		put_decision("deny", 0, c, reason);
}

void
connlog_end(pid_t pid, int status)
{
	put("listen: end %ld status %d\n", (long)pid, status);
}

void
connlog_flush(void)
{
	ssize_t r;

	if (!lines.used)
		return;
	r = write(2, lines.text, lines.used);
	(void)r;	/* lost: no client waits for a log */
	lines.used = 0;
}

void
connlog_trouble(uint64_t now, char const *verb, char const *object)
{
	if (lines.level < CONNLOG_TROUBLE || now < lines.next)
		return;
	lines.next = now + 1000;
	strerr_warnwusys(verb, object);
}
