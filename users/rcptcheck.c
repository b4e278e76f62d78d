/* rcptcheck: does this mailbox exist?
 *
 * Without arguments it is a RCPTCHECK program: the address is $RECIPIENT, the
 * answer is its exit code.  With addresses as arguments it tells an
 * administrator what a client would be told.
 *
 * Runs as: its caller.  Reads: control/, users/cdb, users/names.cdb,
 * users/mailbox/, the system's user table.  Writes: standard output.  Trusts:
 * those tables, not the address.  Trusted by: smtpd.
 */
#include <stdlib.h>
#include <string.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/recipient.h"

static struct {
	int verdict;
	int code;
	char const *text;
} const verdicts[] = {
	{ RECIPIENT_YES, EXIT_DONE, "yes" },
	{ RECIPIENT_NO, EXIT_PERM, "no: no such mailbox" },
	{ RECIPIENT_DISABLED, EXIT_PERM, "no: the mailbox is disabled" },
	{ RECIPIENT_FULL, EXIT_TEMP, "not now: the mailbox is full" },
	{ RECIPIENT_OVER, EXIT_PERM, "no: the mailbox is full" },
	{ RECIPIENT_FOREIGN, EXIT_DONE, "foreign: not a domain of this host" },
	{ RECIPIENT_TROUBLE, EXIT_TEMP, "not now" }
};

static unsigned int
check(char const *address)
{
	int r = recipient_check(address, strlen(address));
	unsigned int i = 0;

	while (verdicts[i].verdict != r)
		i++;
	if (r == RECIPIENT_TROUBLE)
		strerr_warnwusys("look the recipient up");
	return i;
}

static int
report(char const *address)
{
	unsigned int i = check(address);
	char const *part[] = { address, ": ", verdicts[i].text, "\n" };
	size_t k;

	for (k = 0; k < sizeof part / sizeof *part; k++)
		if (allwrite(1, part[k], strlen(part[k])) < strlen(part[k]))
			strerr_diefusys(EXIT_TEMP, "write to standard output");
	return verdicts[i].code;
}

int
main(int argc, char const *const *argv)
{
	char const *address = getenv("RECIPIENT");
	int code = EXIT_DONE;

	PROG = "rcptcheck";
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", home_path());
	if (argc == 1) {
		if (!address)
			strerr_dieusage(EXIT_USAGE, "rcptcheck [address...]");
		return verdicts[check(address)].code;
	}
	while (*++argv) {
		int r = report(*argv);

		code = code == EXIT_TEMP || r == EXIT_DONE ? code : r;
	}
	return code;
}
