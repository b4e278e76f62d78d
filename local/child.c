#include "local/child.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/spawn.h"

extern char **environ;

int
child_run(char const *const *argv)
{
	pid_t pid = spawn(argv, (char const *const *)environ, 0, 0);
	int status;

	if (pid == -1)
		strerr_diefusys(EXIT_TEMP, "run ", argv[0]);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			strerr_diefusys(EXIT_TEMP, "wait for ", argv[0]);
	if (!WIFEXITED(status))
		strerr_dief(EXIT_TEMP, "child crashed: ", argv[0]);
	if (WEXITSTATUS(status) == EXIT_TEMP)
		strerr_dief(EXIT_TEMP, "temporary child error: ", argv[0]);
	return WEXITSTATUS(status);
}

void
child_rewind(void)
{
	if (lseek(0, 0, SEEK_SET) == -1)
		strerr_diefusys(EXIT_TEMP, "rewind message");
}
