#include <string.h>

#include "scanq/clamdreply.h"
#include "tests/unit/tap.h"

static char const *name;
static size_t len;

static int
reply(char const *s, size_t n, int fildes)
{
	name = 0;
	return clamdreply(s, n, fildes, &name, &len);
}
#define REPLY(s, fildes) reply(s, sizeof s - 1, fildes)

int
main(void)
{
	ok(REPLY("stream: OK\0", 0) == CLAMD_CLEAN &&
	    REPLY("fd[11]: OK\0", 1) == CLAMD_CLEAN, "clean");
	ok(REPLY("stream: Eicar-Test FOUND\0", 0) == CLAMD_FOUND &&
	    len == 10 && !memcmp(name, "Eicar-Test", 10) &&
	    REPLY("fd[9]: X FOUND\0", 1) == CLAMD_FOUND && len == 1,
	    "found");
	ok(REPLY("stream: OK", 0) == CLAMD_UNKNOWN &&
	    REPLY("stream: OK\n", 0) == CLAMD_UNKNOWN,
	    "without its end it is no answer");
	ok(REPLY("stream: OK\0stream: OK\0", 0) == CLAMD_UNKNOWN &&
	    REPLY("stream: OK\0\0", 0) == CLAMD_UNKNOWN, "two are none");
	ok(REPLY("", 0) == CLAMD_UNKNOWN && REPLY("\0", 0) == CLAMD_UNKNOWN &&
	    REPLY("OK\0", 0) == CLAMD_UNKNOWN, "empty, or bare");
	ok(REPLY("stream: OK FOUND\0", 0) == CLAMD_FOUND,
	    "a signature of the name OK");
	ok(REPLY("stream:  FOUND\0", 0) == CLAMD_UNKNOWN &&
	    REPLY("stream: FOUND\0", 0) == CLAMD_UNKNOWN,
	    "a signature without a name");
	ok(REPLY("INSTREAM size limit exceeded. ERROR\0", 0) ==
	    CLAMD_UNKNOWN && REPLY("fd[9]: Not a regular file ERROR\0", 1) ==
	    CLAMD_UNKNOWN && REPLY("COMMAND READ TIMED OUT\n", 0) ==
	    CLAMD_UNKNOWN, "errors");
	ok(REPLY("fd[]: OK\0", 1) == CLAMD_UNKNOWN &&
	    REPLY("fd[1: OK\0", 1) == CLAMD_UNKNOWN &&
	    REPLY("stream: OK\0", 1) == CLAMD_UNKNOWN &&
	    REPLY("fd[1]: OK\0", 0) == CLAMD_UNKNOWN,
	    "the answer to another question");
	return tap_done();
}
