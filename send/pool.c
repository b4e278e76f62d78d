#include "send/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/exitcode.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/packet.h"

static int
is_for(struct worker const *w, struct role const *as, stralloc const *key)
{
	return w->as.uid == as->uid && w->as.gid == as->gid &&
	    w->key.len == key->len &&
	    memcmp(w->key.s, key->s, key->len) == 0;
}

static struct worker *
idle_one(struct pool *p, struct role const *as, stralloc const *key)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->w[i].sock != -1 && !p->w[i].busy &&
		    is_for(&p->w[i], as, key))
			return &p->w[i];
	return 0;
}

static struct worker *
free_entry(struct pool *p)
{
	struct worker *w;
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->w[i].sock == -1)
			return &p->w[i];
	w = realloc(p->w, (p->n + 16) * sizeof *w);
	if (!w)
		return 0;
	p->w = w;
	memset(w + p->n, 0, 16 * sizeof *w);
	for (i = 0; i < 16; i++)
		w[p->n + i].sock = -1;
	p->n += 16;
	return &p->w[p->n - 16];
}

/* In the child: become the user and run.  Answers the job itself if that
 * cannot be done.
 */
static void
run(char const *const *argv, struct role const *as, int sock)
{
	static char const failed[] = "ZUnable to run local. (#4.3.0)\n";
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, 0);
	signal(SIGPIPE, SIG_DFL);
	umask(077);
	/* the rest is close-on-exec */
	if (dup2(sock, 0) != -1 && dup2(2, 1) != -1 && role_become(as) == 1)
		execv(argv[0], (char *const *)argv);
	packet_send(0, failed, sizeof failed, -1);
	_exit(EXIT_TEMP);
}

static int
launch(struct pool *p, struct worker *w, struct role const *as)
{
	struct epoll_event e = { .events = EPOLLIN };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	e.data.fd = pair[0];
	w->pid = epoll_ctl(p->wake, EPOLL_CTL_ADD, pair[0], &e) == -1 ? -1 :
	    fork();
	if (w->pid == 0)
		run(p->argv, as, pair[1]);
	close(pair[1]);
	if (w->pid == -1) {
		close(pair[0]);
		return -1;
	}
	w->sock = pair[0];
	w->as = *as;
	w->jobs = 0;
	return 1;
}

static void
end(struct pool *p, struct worker *w)
{
	if (w->busy)
		p->busy--;
	w->busy = 0;
	/* a child that has not come to its exec has the socket too */
	epoll_ctl(p->wake, EPOLL_CTL_DEL, w->sock, 0);
	close(w->sock);
	w->sock = -1;
}

static int
give(struct pool *p, struct worker *w, stralloc const *packet, int fd,
    uint64_t number)
{
	if (packet_send(w->sock, packet->s, packet->len, fd) == -1) {
		int e = errno;

		end(p, w);
		errno = e;
		return -1;
	}
	w->busy = 1;
	w->number = number;
	w->jobs++;
	p->busy++;
	return 1;
}

int
pool_give(struct pool *p, struct role const *as, stralloc const *key,
    stralloc const *packet, int fd, uint64_t number)
{
	struct worker *w;

	/* an idle one may have died: then the next, or a new one */
	while ((w = idle_one(p, as, key)))
		if (give(p, w, packet, fd, number) == 1)
			return 1;
	w = free_entry(p);
	if (!w || !stralloc_copy(&w->key, key) || launch(p, w, as) == -1)
		return -1;
	return give(p, w, packet, fd, number);
}

struct worker *
pool_worker(struct pool *p, int sock)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->w[i].sock == sock)
			return &p->w[i];
	return 0;
}

int
pool_answer(struct pool *p, struct worker *w, uint64_t now, char const **text)
{
	static char s[LIMIT_REPORT + 64];
	static char const toolong[] = "\nError report too long, sorry.\n";
	size_t n = 0, pos = 0;
	int r = packet_recv(w->sock, s, sizeof s, &n, 0);

	if (r != 1 && !(r == -1 && errno == EMSGSIZE)) {
		end(p, w);
		return 0;
	}
	if (r == -1) {		/* what came fills s */
		s[sizeof s - 1] = 0;
		n = sizeof s;
	}
	*text = job_field(s, n, &pos);
	if (*text && pos > LIMIT_REPORT)
		memcpy(s + LIMIT_REPORT - sizeof toolong, toolong,
		    sizeof toolong);
	if (!w->busy) {		/* speaks without being asked */
		end(p, w);
		return 0;
	}
	w->busy = 0;
	p->busy--;
	w->idle = now;
	if (w->jobs >= POOL_JOBS)
		end(p, w);
	return 1;
}

void
pool_tidy(struct pool *p, uint64_t now, int all)
{
	size_t i, idle = 0;

	for (i = 0; i < p->n; i++) {
		struct worker *w = &p->w[i];

		if (w->sock == -1 || w->busy)
			continue;
		if (all || ++idle > POOL_IDLE || now - w->idle > POOL_SECONDS)
			end(p, w);
	}
}
