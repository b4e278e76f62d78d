/* authctl: who guesses passwords, who sends how much; and forget it.
 *
 * Runs as: root.  Reads: its arguments.  Writes: orders to
 * socket/auth/limits, what authd answers to standard output.  Trusts: authd.
 * Trusted by: nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/packet.h"

#define SOCKET "socket/auth/limits"
#define USAGE "authctl [list | clear address|user]"

enum { PATIENCE = 30, EXIT_NOTHING = 1 };

static int
ask(stralloc const *question)
{
	int fd = packet_connect(SOCKET);

	if (fd == -1 || packet_timeout(fd, PATIENCE) == -1 ||
	    packet_send(fd, question->s, question->len, -1) == -1)
		strerr_diefusys(EXIT_TEMP, "ask authd at ", SOCKET);
	return fd;
}

static size_t
hear(int fd, char *s)
{
	size_t n = 0;
	int r = packet_recv(fd, s, LIMIT_PACKET, &n, 0);

	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "hear from authd");
	if (r == 0 || !n)
		strerr_dief(EXIT_TEMP, "authd says nothing: are you root?");
	return n;
}

/* N numbers that follow; 0: that is not how authd writes. */
static int
numbers(char const *s, size_t n, size_t *pos, unsigned long *out, int count)
{
	uint64_t u;

	while (count--) {
		if (!job_field_number(s, n, pos, &u))
			return 0;
		*out++ = u;
	}
	return 1;
}

/* Names are what clients have said: nothing for a terminal. */
static char const *
safe(char const *name)
{
	static stralloc out = STRALLOC_ZERO;

	out.len = 0;
	if (log_escape(&out, name, strlen(name)) == -1 || !stralloc_0(&out))
		strerr_dief(EXIT_TEMP, "out of memory");
	return out.s;
}

static int
show_one(char const *s, size_t n, size_t *pos)
{
	char const *kind = job_field(s, n, pos);
	char const *name = kind ? job_field(s, n, pos) : 0;
	unsigned long u[4];

	if (!name || !numbers(s, n, pos, u, *kind == 's' ? 4 : 2))
		return 0;
	name = safe(name);
	if (*kind == 's')
		printf("sent     %s: %lu messages to %lu within an hour, "
		    "%lu to %lu within a day\n", name, u[0], u[2], u[1], u[3]);
	else if (u[1])
		printf("blocked  %s %s: %lu failures, for %lu minutes\n",
		    *kind == 'a' ? "address" : "account", name, u[0],
		    (u[1] + 59) / 60);
	else
		printf("slowed   %s %s: %lu failures\n",
		    *kind == 'a' ? "address" : "account", name, u[0]);
	return 1;
}

static void
show(void)
{
	static char s[LIMIT_PACKET];
	stralloc question = STRALLOC_ZERO;
	size_t n, pos;
	int fd;

	if (!stralloc_append(&question, 'L'))
		strerr_dief(EXIT_TEMP, "out of memory");
	fd = ask(&question);
	while ((n = hear(fd, s)) != 1 || *s != 'E')
		for (pos = 0; pos < n;)
			if (!show_one(s, n, &pos))
				strerr_dief(EXIT_TEMP, "strange answer from "
				    "authd");
	if (fflush(stdout) == EOF)
		strerr_diefusys(EXIT_TEMP, "write to standard output");
}

static int
clear(char const *name)
{
	static char s[LIMIT_PACKET];
	stralloc question = STRALLOC_ZERO;
	size_t n = strlen(name);

	/* as list shows the networks of IPv6 */
	if (n > 3 && strcmp(name + n - 3, "/64") == 0 && strchr(name, ':'))
		n -= 3;
	if (!stralloc_append(&question, 'C') ||
	    job_put(&question, name, n) == -1)
		strerr_dief(EXIT_TEMP, "out of memory");
	hear(ask(&question), s);
	if (*s == 'K')
		return EXIT_DONE;
	if (*s != 'N')
		strerr_dief(EXIT_TEMP, "authd is unable to do that now");
	strerr_warn(PROG, ": nothing is known of ", name);
	return EXIT_NOTHING;
}

int
main(int argc, char const *const *argv)
{
	PROG = "authctl";
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", home_path());
	if (argc < 2 || (argc == 2 && strcmp(argv[1], "list") == 0)) {
		show();
		return EXIT_DONE;
	}
	if (argc != 3 || strcmp(argv[1], "clear") != 0)
		strerr_dieusage(EXIT_USAGE, USAGE);
	return clear(argv[2]);
}
