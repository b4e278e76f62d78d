/* pop3d: give the messages of one Maildir to a POP3 client (RFC 1939).
 *
 * The client has given a good password; pop3d's first "+OK" is the answer to
 * it.  Nothing in the Maildir changes before QUIT.
 *
 * Runs as: the mailbox's owner, started by a checkpassword program.
 * Reads: descriptor 0, the Maildir.  Writes: descriptor 1; at QUIT removes
 * and renames in the Maildir.  Trusts: nothing that it reads.  Trusted by:
 * nobody.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/io.h"
#include "pop3d/maildrop.h"
#include "pop3d/session.h"

/* RFC 1939 3: at least 10 minutes; qmail-pop3d has 20 */
enum { TIMEOUT = 1200 };

int
main(int argc, char const *const *argv)
{
	static struct maildrop d = MAILDROP_ZERO;
	static io i;
	int r;

	PROG = "pop3d";
	if (argc != 2)
		strerr_dieusage(EXIT_USAGE, "pop3d Maildir");
	signal(SIGPIPE, SIG_IGN);
	if (maildrop_open(&d, argv[1]) == -1)
		strerr_diefusys(EXIT_TEMP, "read ", argv[1]);
	io_init(&i, 0, 1);
	r = session_run(&i, &d, TIMEOUT);
	if (r == -1 && errno != ETIMEDOUT && errno != EPIPE &&
	    errno != ECONNRESET)
		strerr_warnwusys("talk to the client");
	/* 0 in any case: whoever waits for us has nothing to add */
	_exit(EXIT_DONE);
}
