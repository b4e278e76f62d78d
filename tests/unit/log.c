#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "tests/unit/tap.h"

static char out[3 * LIMIT_LOGLINE];
static size_t len;
static int capture, keep;

static void
begin(void)
{
	keep = dup(2);
	ftruncate(capture, 0);
	lseek(capture, 0, SEEK_SET);
	dup2(capture, 2);
}

static void
end(void)
{
	dup2(keep, 2);
	close(keep);
	lseek(capture, 0, SEEK_SET);
	len = read(capture, out, sizeof out - 1);
	out[len] = 0;
}

static int
printable_line(void)
{
	size_t i;

	for (i = 0; i + 1 < len; i++)
		if (out[i] < 32 || out[i] > 126)
			return 0;
	return len && out[len-1] == '\n' && len <= LIMIT_LOGLINE;
}

static void
hostile(void)
{
	char all[256];
	int i;

	for (i = 0; i < 256; i++)
		all[i] = i;
	begin();
	log_start("info", "e");
	log_value("v", all, sizeof all);
	log_end();
	end();
	ok(printable_line(), "every byte comes out printable, on one line");
	ok(strstr(out, "\\x00\\x01") && strstr(out, "\\x0a") &&
	    strstr(out, "\\x22") && strstr(out, "\\x5c"), "escaped as \\xHH");
}

static void
lengths(void)
{
	static char huge[100000];
	int i;

	memset(huge, 'x', sizeof huge);
	begin();
	log_start("info", "e");
	log_value("v", huge, sizeof huge);
	log_end();
	end();
	ok(len < LOG_VALUE + 40 && strstr(out, "xxx...\n"), "a value is cut");
	begin();
	log_start("info", "e");
	for (i = 0; i < 50; i++)
		log_value("v", huge, sizeof huge);
	log_end();
	end();
	ok(printable_line() && len == LIMIT_LOGLINE, "a line is cut");
}

/* The status of a process that log_die has ended. */
static int
die(int code, char const *name)
{
	int status = -1;
	pid_t pid;

	begin();
	pid = fork();
	if (!pid) {
		errno = ENOENT;
		log_die(code, "unable to x", name);
	}
	waitpid(pid, &status, 0);
	end();
	return status;
}

static void
deaths(void)
{
	int status = die(EXIT_TEMP, "a b");

	ok(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_TEMP &&
	    !strcmp(out, "unit: fatal: unable to x name=a\\x20b "
	    "reason=No\\x20such\\x20file\\x20or\\x20directory\n"),
	    "a temporary end has its reason");
	status = die(EXIT_PERM, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_PERM &&
	    !strcmp(out, "unit: fatal: unable to x\n"),
	    "a permanent one has none");
	begin();
	log_start("info", "e");
	log_status(status);
	log_status(SIGKILL);
	log_end();
	end();
	ok(!strcmp(out, "unit: info: e exit=100 signal=9\n"),
	    "how a process ended");
}

int
main(void)
{
	char name[] = "/tmp/unit-log.XXXXXX";
	stralloc sa = STRALLOC_ZERO;

	PROG = "unit";
	capture = mkstemp(name);
	unlink(name);
	unsetenv("POSTERN_SESSION");
	begin();
	log_start("info", "accepted");
	log_path("from", "a@b.example", 11);
	log_number("size", 18446744073709551615ull);
	log_errno(2);
	log_end();
	end();
	ok(!strcmp(out, "unit: info: accepted from=<a@b.example> "
	    "size=18446744073709551615 "
	    "reason=No\\x20such\\x20file\\x20or\\x20directory\n"), "a line");
	setenv("POSTERN_SESSION", "12-\n3", 1);
	begin();
	log_start("warning", "x");
	log_end();
	end();
	ok(!strcmp(out, "unit: warning: x session=12-\\x0a3\n"), "a session");
	unsetenv("POSTERN_SESSION");
	hostile();
	lengths();
	deaths();
	ok(log_escape(&sa, "a b", 3) == 1 && sa.len == 6 &&
	    !memcmp(sa.s, "a\\x20b", 6), "escape into a string");
	return tap_done();
}
