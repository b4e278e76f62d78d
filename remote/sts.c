#include "remote/sts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/types.h>

#include "lib/ipaddr.h"
#include "lib/resolve.h"
#include "lib/spawn.h"

enum {
	TEXT = 65536,		/* of a policy; RFC 8461 3.3 suggests 64 KB */
	ADDRESSES = 4,		/* of its web server that are tried */
	RETRY = 300		/* seconds until it is fetched again in vain */
};

struct entry {
	char id[STS_ID + 1];
	uint64_t until, retry;	/* seconds since 1970 */
	char const *text;	/* the policy's */
	size_t n;
};

struct search {
	char domain[256];	/* in lower case */
	char file[300];
	uint64_t now;
	struct resolve names;
	struct entry kept;	/* text is empty: none */
	char buf[TEXT + 256];	/* of kept */
	char fresh[TEXT + 256];
};

extern char **environ;

/* The rest of a line "word value"; *s moves behind it.  1, 0. */
static int
line(char **s, char const *word, char **value)
{
	size_t n = strlen(word);
	char *lf = strchr(*s, '\n');

	if (!lf || strncmp(*s, word, n) || (*s)[n] != ' ')
		return 0;
	*lf = 0;
	*value = *s + n + 1;
	*s = lf + 1;
	return 1;
}

/* What cannot be read, or is no entry, is not there. */
static void
load(struct search *s)
{
	char *at = s->buf, *id, *until, *retry;
	size_t n = 0;
	int fd = open(s->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	s->kept.n = 0;
	s->kept.until = s->kept.retry = 0;
	s->kept.id[0] = 0;
	if (fd != -1) {
		n = allread(fd, s->buf, sizeof s->buf - 1);
		close(fd);
	}
	if (!n)
		return;
	s->buf[n] = 0;
	if (!line(&at, "id", &id) || !line(&at, "until", &until) ||
	    !line(&at, "retry", &retry) || strlen(id) > STS_ID ||
	    !uint640_scan(until, &s->kept.until) ||
	    !uint640_scan(retry, &s->kept.retry))
		return;
	memcpy(s->kept.id, id, strlen(id) + 1);
	s->kept.text = at;
	s->kept.n = s->buf + n - at;
}

/* If it cannot be written, it is fetched again. */
static void
store(struct search const *s, struct entry const *e)
{
	char head[STS_ID + 80], name[64];
	int n = snprintf(head, sizeof head, "id %s\nuntil %llu\nretry %llu\n",
	    e->id, (unsigned long long)e->until, (unsigned long long)e->retry);
	int fd;

	snprintf(name, sizeof name, "remote/sts/.%d", (int)getpid());
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd == -1)
		return;
	if (allwrite(fd, head, n) != (size_t)n ||
	    allwrite(fd, e->text, e->n) != e->n || close(fd) == -1 ||
	    rename(name, s->file) == -1)
		unlink(name);
}

/* What it writes to descriptor 1; -1. */
static int
start(pid_t *pid, char const *const *argv)
{
	struct spawn_fd out = { -1, 1 };
	int p[2];

	if (pipe2(p, O_CLOEXEC) == -1)
		return -1;
	out.from = p[1];
	*pid = spawn(argv, (char const *const *)environ, &out, 1);
	close(p[1]);
	if (*pid != -1)
		return p[0];
	close(p[0]);
	return -1;
}

/* The length of the text before the line that stsfetch has put behind it, or
 * 0.  Any other answer than 200, and any other type than text/plain, is none
 * (RFC 8461 3.3).  s ends with NUL.
 */
static size_t
text_of(char const *s, size_t n)
{
	static char const good[] = "\n200 text/plain";
	char const *line = memrchr(s, '\n', n);

	if (!line || strncasecmp(line, good, sizeof good - 1) != 0)
		return 0;
	line += sizeof good - 1;
	return !*line || *line == ';' || *line == ' ' ?
	    (size_t)(line - s) - (sizeof good - 1) : 0;
}

/* What stsfetch says, which ends by itself in time: length of the text, 0. */
static size_t
run(struct search *s, char const *const *argv)
{
	pid_t pid;
	size_t n;
	int fd = start(&pid, argv), status = 0, r;

	if (fd == -1)
		return 0;
	n = allread(fd, s->fresh, sizeof s->fresh - 1);
	close(fd);
	do
		r = waitpid(pid, &status, 0);
	while (r == -1 && errno == EINTR);
	s->fresh[n] = 0;
	return r == pid && status == 0 && n < sizeof s->fresh - 1 ?
	    text_of(s->fresh, n) : 0;
}

/* The addresses of its web server, as text; how many. */
static size_t
addresses(struct search *s, char out[ADDRESSES][IPADDR_FMT])
{
	char name[270];
	struct answer a;
	struct ipaddr ip;
	size_t n = 0;
	char *v;
	int open;

	snprintf(name, sizeof name, "mta-sts.%s", s->domain);
	if (resolve_ask(&s->names, "4", "a", name) == -1 ||
	    resolve_ask(&s->names, "6", "aaaa", name) == -1)
		return 0;
	for (open = 2; open && resolve_answer(&s->names, &a) == 1; open--)
		while (!strcmp(a.result, "answer") && n < ADDRESSES &&
		    (v = resolve_value(&a)))
			if (ipaddr_scan(v, strlen(v), &ip))
				ipaddr_fmt(out[n++], &ip);
	return n;
}

/* 1 s->fresh has the text of a policy, *n bytes; 0 it was not to be had. */
static int
fetch(struct search *s, struct stspolicy *p, size_t *n)
{
	char ip[ADDRESSES][IPADDR_FMT];
	char const *argv[ADDRESSES + 3] = { "bin/stsfetch", s->domain };
	size_t count = addresses(s, ip), i;

	for (i = 0; i < count; i++)
		argv[2 + i] = ip[i];
	argv[2 + i] = 0;
	*n = count ? run(s, argv) : 0;
	return *n && stspolicy_parse(p, s->fresh, *n) == 1;
}

/* The id that DNS has, "" none.  RFC 8461 3.1: of two records none counts. */
static void
ask_id(struct search *s, char id[STS_ID + 1])
{
	char name[270], other[STS_ID + 1];
	struct answer a;
	size_t records = 0;
	char *v;

	id[0] = 0;
	snprintf(name, sizeof name, "_mta-sts.%s", s->domain);
	if (resolve_ask(&s->names, "id", "txt", name) == -1 ||
	    resolve_answer(&s->names, &a) == -1 || strcmp(a.result, "answer"))
		return;
	while ((v = resolve_value(&a)))
		if (stspolicy_id(v, other) == 1 && !records++)
			memcpy(id, other, sizeof other);
	if (records != 1)
		id[0] = 0;
}

/* A new policy in place of the one that is kept, if there is one. */
static void
renew(struct search *s, struct stspolicy *p, char const *id)
{
	struct entry e = { .text = s->fresh };

	if (fetch(s, p, &e.n) == 1) {
		memcpy(e.id, id, strlen(id) + 1);
		e.until = s->now + p->max_age;
		e.retry = 0;
		store(s, &e);
		s->kept = e;
		return;
	}
	/* what is kept stays, with its id: it will be tried again */
	if (s->kept.until <= s->now) {
		s->kept.n = 0;
		s->kept.until = 0;
		memcpy(s->kept.id, "-", 2);
	}
	s->kept.retry = s->now + RETRY;
	store(s, &s->kept);
}

static int
prepare(struct search *s, char const *domain)
{
	static struct resolve const none = RESOLVE_ZERO;
	size_t n = strlen(domain), i;

	if (!resolve_valid(domain, n) || n >= sizeof s->domain)
		return 0;
	for (i = 0; i <= n; i++)
		s->domain[i] = domain[i] >= 'A' && domain[i] <= 'Z' ?
		    domain[i] | 32 : domain[i];
	snprintf(s->file, sizeof s->file, "remote/sts/%s", s->domain);
	s->now = time(0);
	s->names = none;
	return 1;
}

int
sts_find(struct stspolicy *p, char const *domain)
{
	static struct search s;
	char id[STS_ID + 1];

	if (!prepare(&s, domain))
		return 0;
	load(&s);
	if (resolve_start(&s.names) == 1) {
		ask_id(&s, id);
		if (*id && s.kept.retry <= s.now &&
		    (s.kept.until <= s.now || strcmp(id, s.kept.id)))
			renew(&s, p, id);
	}
	resolve_end(&s.names);
	return s.kept.until > s.now &&
	    stspolicy_parse(p, s.kept.text, s.kept.n) == 1 && p->enforce;
}
