#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/sig.h>
#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/enqueue.h"
#include "lib/home.h"
#include "lib/io.h"
#include "lib/ipaddr.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/given.h"
#include "queue/netmail.h"
#include "queue/netstring.h"

char const *PROG = "qmqpc";

enum {
	PORT = 628,
	CONNECT = 10,		/* s; qmail-qmqpc's */
	TALK = 600,		/* s, for all of one conversation */
	ANSWER = 1000,		/* bytes */
	/* of qmail-queue's codes, those that enqueue has no use for */
	QUEUE_SLOW = 72,	/* connecting took too long */
	QUEUE_AWAY = 73,	/* no connection */
	QUEUE_BROKEN = 74	/* communication failed */
};

struct server {
	struct ipaddr ip;
	unsigned int port;
};

/* The whole message, so that its length is known. */
static int
read_message(stralloc *out)
{
	static char buf[65536];
	ssize_t r;

	while ((r = given_read(0, buf, sizeof buf)) > 0) {
		if (out->len + r > NETMAIL_MOST)
			return QUEUE_REFUSED;
		if (!stralloc_catb(out, buf, r))
			return QUEUE_MEMORY;
	}
	return r == -1 ? QUEUE_READ : 0;
}

static int
put_netstring(stralloc *out, char const *s, size_t n)
{
	char head[UINT64_FMT + 1];
	size_t len = uint64_fmt(head, n);

	head[len++] = ':';
	return stralloc_catb(out, head, len) && stralloc_catb(out, s, n) &&
	    stralloc_catb(out, ",", 1);
}

/* Sender and recipients as netstrings. */
static int
addresses(stralloc const *env, stralloc *out)
{
	size_t i, n;

	for (i = 0; i < env->len; i += n + 2) {
		n = strlen(env->s + i + 1);
		if (!put_netstring(out, env->s + i + 1, n))
			return QUEUE_MEMORY;
	}
	return 0;
}

/* "1.2.3.4", "1.2.3.4:628", "[::1]:628", "::1".  1, 0. */
static int
parse(char const *s, struct server *out)
{
	char const *end = s + strlen(s), *colon = strrchr(s, ':');

	out->port = PORT;
	if (ipaddr_scan(s, end - s, &out->ip))
		return 1;
	if (colon && (!uint0_scan(colon + 1, &out->port) ||
	    out->port - 1 > 65534))
		return 0;
	if (colon && !(*s == '[' && end[-1] == ']'))
		end = colon;
	else
		out->port = PORT;
	if (*s == '[' && end[-1] == ']') {
		s++;
		end--;
	}
	return ipaddr_scan(s, end - s, &out->ip);
}

/* A connected socket, or -1 with errno. */
static int
reach(struct server const *to)
{
	struct sockaddr_storage a;
	socklen_t len = ipaddr_to(&to->ip, to->port, &a), n = sizeof(int);
	int s = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0), e = 0, one = 1;
	struct pollfd p = { s, POLLOUT, 0 };

	if (s == -1)
		return -1;
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(s, (struct sockaddr *)&a, len) == -1) {
		e = errno;
		if (e == EINPROGRESS && poll(&p, 1, CONNECT * 1000) == 0)
			e = ETIMEDOUT;
		else if (e == EINPROGRESS && getsockopt(s, SOL_SOCKET,
		    SO_ERROR, &e, &n) == -1)
			e = errno;
	}
	if (!e)
		return s;
	close(s);
	errno = e;
	return -1;
}

static int
say(io *i, stralloc const *message, stralloc const *to)
{
	char inner[UINT64_FMT + 1], outer[UINT64_FMT + 1];
	size_t n = uint64_fmt(inner, message->len), k;

	inner[n++] = ':';
	k = uint64_fmt(outer, n + message->len + 1 + to->len);
	outer[k++] = ':';
	return io_put(i, outer, k) == 1 && io_put(i, inner, n) == 1 &&
	    io_put(i, message->s, message->len) == 1 &&
	    io_put(i, ",", 1) == 1 && io_put(i, to->s, to->len) == 1 &&
	    io_put(i, ",", 1) == 1 && io_flush(i) == 1 ? 1 : -1;
}

/* The server's word: exit code.  *text: what it said. */
static int
talk(int sock, stralloc const *message, stralloc const *to, stralloc *text)
{
	static io i;
	int r;

	io_init(&i, sock, sock);
	io_deadline(&i, TALK);
	text->len = 0;
	r = say(&i, message, to);
	if (r == 1)
		r = netstring_get(0, &i, ANSWER, text);
	if (r == -1 && errno == ETIMEDOUT)
		return QUEUE_TIMEOUT;
	if (r != 1 || !text->len)
		return QUEUE_BROKEN;
	switch (*text->s) {
	case 'K':
		return QUEUE_OK;
	case 'D':
		return QUEUE_REFUSED;
	default:
		return QUEUE_DEFERRED;
	}
}

static void
complain(char const *server, int code, stralloc const *text)
{
	log_start("warning", "server did not take the message");
	log_string("server", server);
	log_number("code", code);
	if (text->len)
		log_value("text", text->s, text->len);
	else
		log_errno(errno);
	log_end();
}

/* One server.  1 its verdict is final; 0 try the next one. */
static int
try(char const *name, stralloc const *message, stralloc const *to, int *code)
{
	stralloc text = STRALLOC_ZERO;
	struct server where;
	int sock = -1;

	errno = EINVAL;
	*code = QUEUE_CONFIG;
	if (parse(name, &where)) {
		sock = reach(&where);
		*code = errno == ETIMEDOUT ? QUEUE_SLOW : QUEUE_AWAY;
	}
	if (sock != -1) {
		*code = talk(sock, message, to, &text);
		close(sock);
	}
	if (*code)
		complain(name, *code, &text);
	stralloc_free(&text);
	return *code == QUEUE_OK || *code == QUEUE_REFUSED;
}

/* Trouble with the last server is told. */
static int
try_all(stralloc const *message, stralloc const *to)
{
	stralloc list = STRALLOC_ZERO;
	int code = QUEUE_CONFIG;
	size_t i;

	if (control_list("control/qmqpservers", &list) == -1)
		return QUEUE_CONFIG;
	for (i = 0; i < list.len; i += strlen(list.s + i) + 1)
		if (try(list.s + i, message, to, &code))
			break;
	stralloc_free(&list);
	return code;
}

/* Puts one message into the queue of another host by QMQP, as qmail-qmqpc
 * does: a program for $QMAILQUEUE.  Servers are tried in order.
 *
 * Runs as: its caller
 * Reads:   descriptors 0 and 1, control/qmqpservers
 * Writes:  to the servers
 * Trusts:  the servers' word that they have queued it
 * Trusted by: nobody
 */
int
main(void)
{
	stralloc message = STRALLOC_ZERO, env = STRALLOC_ZERO;
	stralloc to = STRALLOC_ZERO;
	int code;

	sig_ignore(SIGPIPE);
	if (home_enter() == -1)
		return QUEUE_HOME;
	code = read_message(&message);
	if (!code)
		code = given_envelope(&env);
	if (!code)
		code = addresses(&env, &to);
	return code ? code : try_all(&message, &to);
}
