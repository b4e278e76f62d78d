#include "rblcheck/dnsrun.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/home.h"
#include "lib/spawn.h"

enum { LINE = 65536 };		/* longer lines than dnsq's are not dnsq's */

extern char **environ;

int
dnsrun_ask(stralloc *words, char const *type, char const *name)
{
	return stralloc_cats(words, type) && stralloc_0(words) &&
	    stralloc_cats(words, name) && stralloc_0(words) ? 1 : -1;
}

static int
start(struct dnsrun *d, char const *const *argv)
{
	int p[2], nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct spawn_fd fds[2] = { { nothing, 0 }, { -1, 1 } };
	pid_t pid;

	if (nothing == -1)
		return 0;
	if (pipe2(p, O_CLOEXEC) == -1) {
		close(nothing);
		return 0;
	}
	fds[1].from = p[1];
	pid = spawn(argv, (char const *const *)environ, fds, 2);
	close(nothing);
	close(p[1]);
	if (pid == -1) {
		close(p[0]);
		return 0;
	}
	d->pid = pid;
	d->fd = p[0];
	return 1;
}

static size_t
count(stralloc const *words)
{
	size_t n = 0, i;

	for (i = 0; i < words->len; i++)
		n += !words->s[i];
	return n;
}

int
dnsrun_start(struct dnsrun *d, stralloc const *words, unsigned int seconds)
{
	char const **argv = malloc((count(words) + 5) * sizeof *argv);
	char number[16];
	stralloc path = STRALLOC_ZERO;
	size_t n = 0, at;
	int r = -1;

	d->fd = -1;
	d->pid = 0;
	snprintf(number, sizeof number, "%u", seconds);
	if (argv && stralloc_cats(&path, home_path()) &&
	    stralloc_cats(&path, "/bin/dnsq") && stralloc_0(&path)) {
		argv[n++] = path.s;
		argv[n++] = "-t";
		argv[n++] = number;
		argv[n++] = "--";
		for (at = 0; at < words->len; at += strlen(words->s + at) + 1)
			argv[n++] = words->s + at;
		argv[n] = 0;
		r = start(d, argv);
	}
	stralloc_free(&path);
	free(argv);
	return r;
}

int
dnsrun_read(struct dnsrun *d, void (*line)(void *, char const *, size_t),
    void *data)
{
	size_t from = 0;
	ssize_t r;
	char *lf;

	if (!stralloc_readyplus(&d->line, 4096))
		r = 0;
	else
		do
			r = read(d->fd, d->line.s + d->line.len, 4096);
		while (r == -1 && errno == EINTR);
	if (r > 0) {
		d->line.len += r;
		while ((lf = memchr(d->line.s + from, '\n',
		    d->line.len - from))) {
			line(data, d->line.s + from, lf - (d->line.s + from));
			from = lf + 1 - d->line.s;
		}
		d->line.len -= from;
		memmove(d->line.s, d->line.s + from, d->line.len);
		if (d->line.len <= LINE)
			return 1;
	}
	close(d->fd);
	d->fd = -1;
	return 0;
}

void
dnsrun_end(struct dnsrun *d)
{
	int status;

	if (d->fd != -1)
		close(d->fd);
	d->fd = -1;
	if (d->pid > 0) {	/* to -1 it would go to everybody */
		kill(d->pid, SIGKILL);	/* it has nothing to clean up */
		while (waitpid(d->pid, &status, 0) == -1 && errno == EINTR)
			;
	}
	d->pid = 0;
	stralloc_free(&d->line);
}
