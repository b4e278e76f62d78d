/* pop3d: give the messages of one Maildir to a POP3 client (RFC 1939).
 *
 * The client has given a good password; pop3d's first "+OK" is the answer to
 * it.  No message changes before QUIT.
 *
 * Runs as: the mailbox's owner, started by a checkpassword program.
 * Reads: descriptor 0, the Maildir, control/.  Writes: descriptor 1; at QUIT
 * removes and renames in the Maildir; its files pop3sessions and maildirsize;
 * the domain's .usage/maildirsize; removes marks in users/full.
 * Trusts: nothing that it reads.  Trusted by: nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/assign.h"
#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/fullmark.h"
#include "lib/home.h"
#include "lib/io.h"
#include "lib/log.h"
#include "pop3d/maildrop.h"
#include "pop3d/place.h"
#include "pop3d/session.h"

enum {
	TIMEOUT = 1200,		/* RFC 1939 3: 10 minutes; qmail-pop3d has 20 */
	SESSIONS = 10		/* of one mailbox at a time */
};

/* Where the suite's own directory is not to be seen, these are the defaults.
 */
static void
read_limits(struct place_limits *l)
{
	l->sessions = SESSIONS;
	l->delay = 0;
	if (home_enter() == -1)
		return;
	if (control_uint("control/concurrencypop3peruser", &l->sessions) == -1)
		strerr_warnwusys("read control/concurrencypop3peruser");
	if (control_uint("control/pop3logindelay", &l->delay) == -1)
		strerr_warnwusys("read control/pop3logindelay");
}

static void
refuse(io *i, int why)
{
	char const *who = getenv("VPOPUSER");

	log_start("info", why == PLACE_IN_USE ? "too many sessions" :
	    "too soon after the last login");
	if (who)
		log_string("login", who);
	log_end();
	io_deadline(i, TIMEOUT);
	if (io_puts(i, why == PLACE_IN_USE ?
	    "-ERR [IN-USE] too many sessions on this mailbox\r\n" :
	    "-ERR [LOGIN-DELAY] too soon after the last login\r\n") == 1)
		io_flush(i);
	_exit(EXIT_DONE);
}

/* A domain with a quota counts what all its users have. */
static void
tell_domain(char const *who, struct maildrop const *d)
{
	char const *at = strrchr(who, '@');
	struct assign a = ASSIGN_ZERO;
	char path[512];
	int fd;

	if (!at || assign_domain(at + 1, strlen(at + 1), &a) != 1 ||
	    snprintf(path, sizeof path, "%s/.usage", a.home) >=
	    (int)sizeof path)
		return;
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd != -1)
		maildrop_note(d, fd);
}

/* What is removed makes room: mail is taken again at once. */
static void
make_room(struct maildrop const *d)
{
	char const *who = getenv("VPOPUSER");

	if (!who || home_enter() == -1)
		return;
	tell_domain(who, d);
	fullmark_room(who);
}

int
main(int argc, char const *const *argv)
{
	static struct maildrop d = MAILDROP_ZERO;
	static io i;
	struct place_limits limits;
	int r, why;

	PROG = "pop3d";
	if (argc != 2)
		strerr_dieusage(EXIT_USAGE, "pop3d Maildir");
	signal(SIGPIPE, SIG_IGN);
	if (maildrop_open(&d, argv[1]) == -1)
		strerr_diefusys(EXIT_TEMP, "read ", argv[1]);
	io_init(&i, 0, 1);
	read_limits(&limits);
	r = place_take(d.dir, &limits, &why);
	if (r == 0)
		refuse(&i, why);
	if (r == -1)
		strerr_warnwusys("count sessions in ", argv[1]);
	if (maildrop_list(&d) == -1)
		strerr_diefusys(EXIT_TEMP, "read ", argv[1]);
	r = session_run(&i, &d, TIMEOUT);
	if (d.removed)
		make_room(&d);
	if (r == -1 && errno != ETIMEDOUT && errno != EPIPE &&
	    errno != ECONNRESET)
		strerr_warnwusys("talk to the client");
	/* 0 in any case: whoever waits for us has nothing to add */
	_exit(EXIT_DONE);
}
