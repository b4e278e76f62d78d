#include <stdio.h>

#include "tests/unit/tap.h"
#include "users/guess.h"

static unsigned int
count(char const *s, uint64_t now)
{
	return guess_count(GUESS_ACCOUNT, s, 3, now);
}

int
main(void)
{
	unsigned int i;
	char name[16];

	ok(guess_init() == 1, "a secret");
	ok(count("joe", 1) == 0, "nothing yet");
	for (i = 0; i < 8; i++)
		guess_add(GUESS_ACCOUNT, "joe", 3, 1000);
	ok(count("joe", 1000) == 8, "failures count");
	ok(count("ann", 1000) == 0 &&
	    guess_count(GUESS_ADDRESS, "joe", 3, 1000) == 0,
	    "for one key of one kind");
	ok(count("joe", 1000 + GUESS_HALF) == 4 &&
	    count("joe", 1000 + 5 * GUESS_HALF) == 0, "and wear off");
	ok(count("joe", 1) == 8, "a clock that goes back changes nothing");
	for (i = 0; i < 200000; i++) {
		int n = snprintf(name, sizeof name, "n%u", i);

		guess_add(GUESS_ACCOUNT, name, n, 1001);
	}
	ok(count("joe", 1001) == 8, "a flood of names leaves high counts");
	guess_clear(GUESS_ACCOUNT, "joe", 3);
	ok(count("joe", 1001) == 0, "success clears");
	ok(guess_delay(0) == 1 && guess_delay(GUESS_FREE) == 1 &&
	    guess_delay(GUESS_FREE + 1) == 2 && guess_delay(1000) ==
	    GUESS_SLOWEST, "the delay grows to a limit");
	return tap_done();
}
