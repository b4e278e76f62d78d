/* condredirect: send the message elsewhere if a program says so.
 *
 * For a line "|condredirect address program..." of a .qmail file.  If the
 * program exits 0 the message goes to the address and the rest of the file is
 * left out.
 *
 * Runs as: the recipient.  Reads: the message.  Writes: the queue.
 * Trusts: its arguments and environment.  Trusted by: nobody.
 */
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "local/child.h"
#include "local/redirect.h"

int
main(int argc, char const *const *argv)
{
	char const *to[2] = { 0, 0 };
	char const *sender;

	PROG = "condredirect";
	if (argc < 3)
		strerr_dieusage(EXIT_USAGE,
		    "condredirect address program [ arg... ]");
	sender = redirect_variable("SENDER");
	redirect_variable("DTLINE");
	if (child_run(argv + 2) != 0)
		return EXIT_DONE;
	child_rewind();
	to[0] = argv[1];
	redirect(sender, to, EXIT_STOP);
}
