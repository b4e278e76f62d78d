/* except: turn a program's answer around.
 *
 * For a line "|except program..." of a .qmail file: 0 becomes 100 (the message
 * bounces), anything else but 111 becomes 0.
 *
 * Runs as: the recipient.  Reads: nothing.  Writes: nothing.
 * Trusts: its arguments.  Trusted by: nobody.
 */
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "local/child.h"

int
main(int argc, char const *const *argv)
{
	PROG = "except";
	if (argc < 2)
		strerr_dieusage(EXIT_USAGE, "except program [ arg... ]");
	return child_run(argv + 1) == 0 ? EXIT_PERM : EXIT_DONE;
}
