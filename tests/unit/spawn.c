#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/spawn.h"
#include "tests/unit/tap.h"

static int
run(char const *script, struct spawn_fd const *fds, unsigned int n)
{
	char const *argv[] = { "sh", "-c", script, 0 };
	char const *env[] = { "A=b", 0 };
	pid_t pid = spawn(argv, env, fds, n);
	int st;

	if (pid == -1 || waitpid(pid, &st, 0) != pid)
		return -1;
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

int
main(void)
{
	char const *none[] = { "/nonexistent/program", 0 };
	char const *env[] = { 0 };
	char got[4] = "";
	int p[2], q[2];

	ok(run("exit 7", 0, 0) == 7, "a program and its exit code");
	ok(run("test \"$A\" = b", 0, 0) == 0, "its environment");
	ok(spawn(none, env, 0, 0) == -1 && errno == ENOENT,
	    "a program that is not there");
	if (pipe2(p, O_CLOEXEC) == -1 || pipe2(q, O_CLOEXEC) == -1)
		return 111;
	{
		struct spawn_fd fds[] = { { p[1], 4 }, { p[1], 6 } };

		ok(run("printf a >&4; printf b >&6", fds, 2) == 0 &&
		    read(p[0], got, 2) == 2 && !memcmp(got, "ab", 2),
		    "one descriptor twice");
	}
	{
		/* each is the target of the other */
		struct spawn_fd fds[] = { { p[1], q[1] }, { q[1], p[1] } };
		char script[64];

		snprintf(script, sizeof script, "printf x >&%d", q[1]);
		ok(run(script, fds, 2) == 0 && read(p[0], got, 1) == 1 &&
		    *got == 'x', "two descriptors exchanged");
	}
	{
		char script[64];

		snprintf(script, sizeof script, ": 2>/dev/null >&%d", p[1]);
		ok(run(script, 0, 0) != 0, "nothing else is inherited");
	}
	signal(SIGPIPE, SIG_IGN);
	ok(run("kill -PIPE $$; exit 3", 0, 0) == -1,
	    "an ignored signal is back at its default");
	return tap_done();
}
