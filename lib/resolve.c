#include "lib/resolve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

#include "lib/clock.h"
#include "lib/spawn.h"

enum {
	/* dnsq gives up by itself: 10 s a question, in two rounds */
	WAIT = 30000,
	LINE = 65536,		/* longer ones are not dnsq's */
	NAME = 255		/* RFC 1035 2.3.4 */
};

extern char **environ;

int
resolve_start(struct resolve *n)
{
	static char const *const argv[] = { "bin/dnsq", 0 };
	struct spawn_fd fds[2];
	int s[2], e;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == -1)
		return -1;
	fds[0].from = fds[1].from = s[1];
	fds[0].to = 0;
	fds[1].to = 1;
	n->pid = spawn(argv, (char const *const *)environ, fds, 2);
	e = errno;
	close(s[1]);
	if (n->pid == -1) {
		close(s[0]);
		n->pid = 0;
		errno = e;
		return -1;
	}
	n->fd = s[0];
	n->until = clock_ms() + WAIT;
	n->line.len = n->used = 0;
	return 1;
}

void
resolve_end(struct resolve *n)
{
	int status;

	if (n->fd != -1)
		close(n->fd);
	n->fd = -1;
	if (n->pid > 0) {
		kill(n->pid, SIGKILL);	/* it has nothing to clean up */
		while (waitpid(n->pid, &status, 0) == -1 && errno == EINTR)
			;
	}
	n->pid = 0;
	stralloc_free(&n->line);
	n->used = 0;
}

int
resolve_valid(char const *s, size_t n)
{
	size_t i;

	if (!n || n > NAME || *s == '.')
		return 0;
	for (i = 0; i < n; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') &&
		    !(s[i] >= 'A' && s[i] <= 'Z') &&
		    !(s[i] >= '0' && s[i] <= '9') &&
		    (!s[i] || !strchr("._-", s[i])))
			return 0;
	return 1;
}

int
resolve_ask(struct resolve *n, char const *tag, char const *type,
    char const *name)
{
	stralloc q = STRALLOC_ZERO;
	int r = -1;

	if (stralloc_cats(&q, tag) && stralloc_cats(&q, " ") &&
	    stralloc_cats(&q, type) && stralloc_cats(&q, " ") &&
	    stralloc_cats(&q, name) && stralloc_cats(&q, "\n") &&
	    allwrite(n->fd, q.s, q.len) == q.len)
		r = 1;
	stralloc_free(&q);
	return r;
}

/* More bytes behind n->line.  1; -1. */
static int
more(struct resolve *n)
{
	struct pollfd p = { n->fd, POLLIN, 0 };
	uint64_t at = clock_ms();
	ssize_t r;

	if (at >= n->until || n->line.len > LINE ||
	    !stralloc_readyplus(&n->line, 4096))
		return -1;
	r = poll(&p, 1, n->until - at);
	if (r > 0)
		r = read(n->fd, n->line.s + n->line.len, 4096);
	else if (r == 0)
		return -1;
	if (r == -1 && errno == EINTR)
		return 1;
	if (r <= 0)
		return -1;
	n->line.len += r;
	return 1;
}

/* Cuts the next word off *s. */
static char *
word(char **s)
{
	char *w = *s;

	*s += strcspn(*s, " ");
	if (**s)
		*(*s)++ = 0;
	return w;
}

static int
parse(char *s, struct answer *a)
{
	a->tag = word(&s);
	a->type = word(&s);
	word(&s);
	a->result = word(&s);
	a->secure = !strcmp(word(&s), "secure");
	a->detail = word(&s);
	a->values = s;
	return *a->detail ? 1 : -1;
}

int
resolve_answer(struct resolve *n, struct answer *a)
{
	char *line, *lf;

	memmove(n->line.s, n->line.s + n->used, n->line.len - n->used);
	n->line.len -= n->used;
	n->used = 0;
	while (!(lf = n->line.len ? memchr(n->line.s, '\n', n->line.len) : 0))
		if (more(n) == -1)
			return -1;
	line = n->line.s;
	*lf = 0;
	n->used = lf + 1 - line;
	return parse(line, a);
}

char *
resolve_value(struct answer *a)
{
	return *a->values ? word(&a->values) : 0;
}
