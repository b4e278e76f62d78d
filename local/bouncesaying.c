/* bouncesaying: bounce the message with a text of one's own.
 *
 * For a line "|bouncesaying text [program...]" of a .qmail file; with a
 * program, only if that exits 0.
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
	PROG = "bouncesaying";
	if (argc < 2)
		strerr_dieusage(EXIT_USAGE,
		    "bouncesaying text [ program [ arg... ] ]");
	if (argc > 2 && child_run(argv + 2) != 0)
		return EXIT_DONE;
	strerr_die(EXIT_PERM, argv[1]);
}
