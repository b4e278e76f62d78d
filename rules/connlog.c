#include "rules/connlog.h"

#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

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

/* One line of these pieces.  Not by printf: that was most of what listen
 * itself does for a connection. */
#define put(...) put_all((char const *const[]){ __VA_ARGS__, "\n", 0 })

static void
put_all(char const *const *s)
{
	enum { LONGEST = 1024 };	/* a host's name of 255, and what is
					 * ours */
	size_t n;

	if (lines.level < CONNLOG_ALL)
		return;
	if (sizeof lines.text - lines.used < LONGEST)
		connlog_flush();
	for (; *s; s++) {	/* cut rather than too long */
		n = strnlen(*s, sizeof lines.text - lines.used);
		memcpy(lines.text + lines.used, *s, n);
		lines.used += n;
	}
}

static char *
number(char *out, uint64_t u)
{
	out[uint64_fmt(out, u)] = 0;
	return out;
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
	char local_port[UINT64_FMT], remote_port[UINT64_FMT];
	char process[UINT64_FMT];

	put("listen: ", what, " ", number(process, pid),
	    " ", lines.localhost, ":", bracketed(local, &c->local),
	    ":", number(local_port, c->local_port),
	    " :", bracketed(remote, &c->remote),
	    "::", number(remote_port, c->remote_port),
	    " session=", c->session, *tail ? " " : "", tail);
}

void
connlog_status(unsigned int n, unsigned int limit)
{
	char now[UINT64_FMT], most[UINT64_FMT];

	put("listen: status: ", number(now, n), "/", number(most, limit));
}

void
connlog_ok(pid_t pid, struct connection const *c)
{
	char remote[IPADDR_FMT], process[UINT64_FMT];

	if (lines.level < CONNLOG_ALL)
		return;
	ipaddr_fmt(remote, &c->remote);
	put("listen: pid ", number(process, pid), " from ", remote);
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
	char process[UINT64_FMT], code[UINT64_FMT];

	put("listen: end ", number(process, pid),
	    " status ", number(code, status));
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
