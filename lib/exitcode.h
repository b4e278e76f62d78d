/* exitcode: what our exit codes mean, suite-wide. */
#ifndef EXITCODE_H
#define EXITCODE_H

enum {
	EXIT_DONE = 0,
	EXIT_STOP = 99,		/* commands of local: done, skip the rest */
	EXIT_PERM = 100,	/* denied, or will fail again */
	EXIT_USAGE = 100,
	EXIT_TEMP = 111		/* try again later */
};

#endif
