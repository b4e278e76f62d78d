#include "lib/given.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/enqueue.h"
#include "lib/limits.h"

enum { DAY = 86400 };

static void
too_long(int sig)
{
	(void)sig;
	_exit(QUEUE_TIMEOUT);
}

void
given_deadline(void)
{
	signal(SIGALRM, too_long);
	alarm(DAY);
}

ssize_t
given_read(int fd, char *s, size_t max)
{
	ssize_t r;

	do
		r = read(fd, s, max);
	while (r == -1 && errno == EINTR);
	return r;
}

int
given_message(struct spool *s, int (*take)(char const *, size_t))
{
	static char buf[65536];
	ssize_t r;

	while ((r = given_read(0, buf, sizeof buf)) > 0) {
		if (take && take(buf, (size_t)r) == -1)
			return QUEUE_MEMORY;
		if (spool_put(s, buf, (size_t)r) == -1)
			return errno == ENOMEM ? QUEUE_MEMORY : QUEUE_WRITE;
	}
	return r == -1 ? QUEUE_READ : 0;
}

/* Is env[0..n) all of it: an empty record at its end?  1; 0 not yet; -1 it
 * cannot become one; *code then says why.  *start: of the record that was not
 * whole yet.
 */
static int
envelope_ends(char const *env, size_t n, size_t *start, int *code)
{
	char const *nul;

	while (*start < n) {
		char const *s = env + *start;

		if (*start && !*s)
			return 1;
		*code = QUEUE_ENVELOPE;
		if (*s != (*start ? 'T' : 'F'))
			return -1;
		nul = memchr(s, 0, n - *start);
		*code = QUEUE_ADDRESS;
		if ((size_t)((nul ? nul : env + n) - s) > LIMIT_ADDRESS + 1)
			return -1;
		if (!nul)
			return 0;
		*start = (size_t)(nul + 1 - env);
	}
	return 0;
}

int
given_envelope(stralloc *env)
{
	char buf[8192];
	size_t start = 0;
	ssize_t r;
	int ends = 0, code = 0;

	while (!ends) {
		r = given_read(1, buf, sizeof buf);
		if (r <= 0)
			return QUEUE_READ;
		if (!stralloc_catb(env, buf, (size_t)r))
			return QUEUE_MEMORY;
		if (env->len > LIMIT_ENVELOPE)
			return QUEUE_REFUSED;
		ends = envelope_ends(env->s, env->len, &start, &code);
	}
	if (ends == -1)
		return code;
	env->len = start;
	return 0;
}
