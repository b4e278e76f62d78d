/* Without skalibs: see signalpipe.h. */
#include "lib/signalpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int ends[2] = { -1, -1 };

static void
on_signal(int sig)
{
	int e = errno;
	char c = (char)sig;
	ssize_t r = write(ends[1], &c, 1);

	(void)r;
	errno = e;
}

int
signalpipe_open(int const *signals, size_t n)
{
	int was[2] = { ends[0], ends[1] };
	struct sigaction a;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
	if (was[0] != -1) {
		close(was[0]);
		close(was[1]);
	}
	memset(&a, 0, sizeof a);
	sigemptyset(&a.sa_mask);
	a.sa_handler = on_signal;
	while (n)
		sigaction(signals[--n], &a, 0);
	return ends[0];
}

int
signalpipe_next(void)
{
	char c;

	return read(ends[0], &c, 1) == 1 ? c : 0;
}
