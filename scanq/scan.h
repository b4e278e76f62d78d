/* scan: everything that is to be known about one message: what the rules say
 * to what the walker sees, what clamd says to the whole and to each decoded
 * content, and what spamd thinks of it.
 */
#ifndef SCAN_H
#define SCAN_H

#include <skalibs/stralloc.h>

#include "scanq/archives.h"
#include "scanq/clamd.h"
#include "scanq/intake.h"
#include "scanq/judge.h"
#include "scanq/leaves.h"
#include "scanq/spamd.h"

#define SCAN_RULES "rules/scan.cdb"

enum virus_mode {
	VIRUS_OFF,		/* no control/clamd, or virusscan says off */
	VIRUS_OPTIONAL,		/* without clamd mail goes through */
	VIRUS_REQUIRED
};

struct scan {
	struct judge judge;
	struct leaves leaves;
	struct archives archives;
	struct clamd clamd;
	struct spamd spamd;
	enum virus_mode mode;
	int asked;		/* clamd has answered */
	int failed;		/* and could not be: see clamd.talk */
	unsigned int objects;	/* shown to clamd */
	unsigned long limit;	/* bytes of one that it takes */
	stralloc servers, signature, version;
	char const *why;	/* trouble that is not clamd's */
	int error;
};

/* Reads the settings.  0; else an exit code and why. */
extern int scan_settings(struct scan *s);

/* 0; else an exit code: no verdict.  The trouble is in why and error, or, if
 * failed is set, clamd's.
 */
extern int scan_message(struct scan *s, struct intake *i,
    stralloc const *envelope);

#endif
