/* forward: send the message on to other addresses.
 *
 * For a line "|forward address..." of a .qmail file.
 *
 * Runs as: the recipient.  Reads: the message.  Writes: the queue.
 * Trusts: its arguments and environment.  Trusted by: nobody.
 */
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "local/redirect.h"

int
main(int argc, char const *const *argv)
{
	PROG = "forward";
	if (argc < 2)
		strerr_dieusage(EXIT_USAGE, "forward address...");
	redirect(redirect_variable("NEWSENDER"), argv + 1, EXIT_DONE);
}
