#include "users/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/stralloc.h>

#include "lib/job.h"
#include "lib/spawn.h"

void
helpers_init(struct helpers *p)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	memset(p, 0, sizeof *p);
	p->limit = n < 1 ? 2 : n > HELPER_MOST / 2 ? HELPER_MOST : 2 * n;
}

static int
start(struct helper *h)
{
	static char const *const argv[] = { "bin/pwhash", 0 };
	static char const *const env[] = { 0 };
	struct spawn_fd fds[2] = { { -1, 0 }, { -1, 1 } };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	fds[0].from = fds[1].from = pair[1];
	h->pid = spawn(argv, env, fds, 2);
	close(pair[1]);
	if (h->pid == -1) {
		close(pair[0]);
		h->pid = 0;
		return -1;
	}
	h->fd = pair[0];
	h->job = 0;
	return 1;
}

void
helper_end(struct helper *h)
{
	close(h->fd);
	if (h->pid > 0)	/* 0 and -1 are not one process */
		kill(h->pid, SIGKILL);
	while (waitpid(h->pid, 0, 0) == -1 && errno == EINTR)
		;
	memset(h, 0, sizeof *h);
}

static struct helper *
choose(struct helpers *p)
{
	struct helper *none = 0;
	unsigned int i;

	for (i = 0; i < p->limit; i++) {
		if (p->h[i].pid && !p->h[i].job)
			return p->h + i;
		if (!p->h[i].pid && !none)
			none = p->h + i;
	}
	return none;
}

/* One request fits the socket's buffer many times: a short write is a helper
 * in trouble.
 */
static int
give(struct helper *h, stralloc const *request)
{
	return send(h->fd, request->s, request->len,
	    MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)request->len;
}

int
helpers_compare(struct helpers *p, struct comparison const *c, void *job,
    uint64_t now)
{
	struct helper *h = choose(p);
	stralloc request = STRALLOC_ZERO;
	int r = -1;

	if (!h)
		return 0;
	if (job_puts(&request, "c") == -1 ||
	    job_puts(&request, c->hash) == -1 ||
	    job_puts(&request, c->password) == -1 ||
	    job_puts(&request, c->secret) == -1 ||
	    job_puts(&request, c->challenge) == -1)
		goto out;
	/* an idle helper may have died: once more, with a new one */
	if (h->pid && !give(h, &request))
		helper_end(h);
	else if (h->pid)
		r = 1;
	if (r == -1 && start(h) == 1)
		r = give(h, &request) ? 1 : -1;
	if (r == 1) {
		h->job = job;
		h->since = now;
	}
out:
	if (request.s)
		explicit_bzero(request.s, request.len);
	stralloc_free(&request);
	return r;
}

char
helper_answer(struct helper *h, uint64_t now)
{
	char c;

	if (recv(h->fd, &c, 1, MSG_DONTWAIT) != 1 || (c != 'y' && c != 'n')) {
		helper_end(h);
		return 0;
	}
	h->job = 0;
	h->since = now;
	return c;
}

void *
helpers_expire(struct helpers *p, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < p->limit; i++) {
		struct helper *h = p->h + i;
		void *job = h->job;

		if (!h->pid ||
		    now < h->since + (job ? HELPER_PATIENCE : HELPER_IDLE))
			continue;
		helper_end(h);
		if (job)
			return job;
	}
	return 0;
}
