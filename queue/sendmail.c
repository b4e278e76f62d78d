#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"

#define USAGE "sendmail [-t] [-f sender] [-F name] [-bs | -bp | -bi] " \
	"[recipient ...]"

char const *PROG = "sendmail";

struct request {
	char const *mode;	/* of -b: m deliver, s SMTP, p print queue,
				 * i "newaliases" */
	char const *sender;
	int header;		/* -t */
};

static void run(char const *program, char const **argv)
    __attribute__((noreturn));

static void
run(char const *program, char const **argv)
{
	stralloc path = STRALLOC_ZERO;

	if (!stralloc_cats(&path, home_path()) ||
	    !stralloc_cats(&path, "/bin/") ||
	    !stralloc_cats(&path, program) || !stralloc_0(&path))
		strerr_dief1x(EXIT_TEMP, "out of memory");
	argv[0] = path.s;
	execv(path.s, (char *const *)argv);
	strerr_diefu2sys(EXIT_TEMP, "run ", path.s);
}

/* The environment that a front end would have made: whoever can run programs
 * here may send mail anywhere.
 */
static void
smtp(void)
{
	char const *argv[2] = { 0, 0 };
	char const *user = getenv("USER");

	if (!getenv("PROTO")) {
		setenv("PROTO", "TCP", 1);
		setenv("TCPLOCALIP", "127.0.0.1", 1);
		setenv("TCPLOCALHOST", "localhost", 1);
		setenv("TCPREMOTEIP", "127.0.0.1", 1);
		setenv("TCPREMOTEHOST", "localhost", 1);
		setenv("RELAYCLIENT", "", 1);
		if (user)
			setenv("TCPREMOTEINFO", user, 1);
		else
			unsetenv("TCPREMOTEINFO");
	}
	run("smtpd", argv);
}

static void
inject(struct request const *r, int argc, char const *const *argv)
{
	char const **args = calloc(argc + 6, sizeof *args);
	int n = 1, i;

	if (!args)
		strerr_dief1x(EXIT_TEMP, "out of memory");
	args[n++] = r->header ? "-H" : "-a";
	if (r->sender) {
		args[n++] = "-f";
		args[n++] = r->sender;
	}
	args[n++] = "--";
	for (i = 0; i < argc; i++)
		args[n++] = argv[i];
	run("inject", args);
}

/* An option of Sendmail's that means nothing here is read and ignored, with
 * its argument: programs give them by habit.  Returns where arguments start.
 */
static int
parse_options(struct request *r, int argc, char const *const *argv)
{
	static char const options[] =
	    "b:f:r:F:timnvsUGEJAB:C:D:d:e:h:L:N:O:o:p:q:R:V:X:";
	subgetopt l = SUBGETOPT_ZERO;
	int c;

	while ((c = subgetopt_r(argc, argv, options, &l)) != -1) {
		switch (c) {
		case 'b':
			r->mode = l.arg;
			break;
		case 'f':
		case 'r':
			r->sender = l.arg;
			break;
		case 'F':
			setenv("QMAILNAME", l.arg, 1);
			break;
		case 't':
			r->header = 1;
			break;
		case '?':
			strerr_dieusage(EXIT_USAGE, USAGE);
		default:
			break;
		}
	}
	return l.ind;
}

/* Sendmail's command line, for programs that expect it: runs inject, smtpd or
 * qread.
 *
 * Runs as: its caller
 * Reads:   nothing
 * Writes:  nothing
 * Trusts:  its caller
 * Trusted by: nobody
 */
int
main(int argc, char const *const *argv)
{
	char const *own[2] = { 0, 0 };
	char const *slash = argc ? strrchr(argv[0], '/') : 0;
	struct request r = { .mode = "m" };
	char const *name = !argc ? "" : slash ? slash + 1 : argv[0];
	int n;

	if (!strcmp(name, "mailq"))
		run("qread", own);
	n = parse_options(&r, argc, argv);
	/* .qmail files are not compiled: there is nothing to be done */
	if (!strcmp(r.mode, "i") || !strcmp(name, "newaliases"))
		return EXIT_DONE;
	if (!strcmp(r.mode, "s"))
		smtp();
	if (!strcmp(r.mode, "p"))
		run("qread", own);
	if (strcmp(r.mode, "m"))
		strerr_dief2x(EXIT_USAGE, "mode not supported: -b", r.mode);
	if (argc == n && !r.header)
		strerr_dieusage(EXIT_USAGE, USAGE);
	inject(&r, argc - n, argv + n);
	return EXIT_TEMP;
}
