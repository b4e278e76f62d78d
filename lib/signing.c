#include "lib/signing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Mail from strangers costs no system call here. */
static int
is_own(void)
{
	char const *s = getenv("DKIMSIGN");

	if (s && !strcmp(s, "0"))
		return 0;
	return getenv("RELAYCLIENT") || getenv("SMTPAUTHUSER") ||
	    (!getenv("TCPREMOTEIP") && !getenv("DTLINE"));
}

int
signing_wanted(void)
{
	return is_own() && access("control/dkim", F_OK) == 0;
}

char const *
signing_program(void)
{
	return signing_wanted() ? "bin/dkimsign" : 0;
}
