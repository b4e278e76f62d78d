#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "queue/listing.h"

char const *PROG = "qstat";

static void
count(char const *what, char const *dir)
{
	uint64_t n;

	if (listing_count(dir, &n) == 1)
		printf("%s: %llu\n", what, (unsigned long long)n);
	else
		printf("%s: unknown (%s)\n", what, strerror(errno));
}

/* Says how many messages are in the queue.
 *
 * Runs as: root, or a member of the queue's group
 * Reads:   the directories of queue/
 * Writes:  nothing
 * Trusts:  queued
 * Trusted by: nobody
 */
int
main(int argc, char *const *argv)
{
	genalloc ids = GENALLOC_ZERO;
	char const *dir;

	(void)argv;
	if (argc != 1)
		strerr_dieusage(EXIT_USAGE, "qstat");
	if (home_enter() == -1 || chdir("queue") == -1)
		strerr_diefu3sys(EXIT_TEMP, "enter ", home_path(), "/queue");
	if (listing_read(&ids, &dir) == -1)
		strerr_diefu2sys(EXIT_TEMP, "read queue/", dir);
	/* qmail-qstat's line, which graphs are made from */
	printf("messages in queue: %lu\n",
	    (unsigned long)genalloc_len(uint64_t, &ids));
	count("messages being written", "tmp");
	count("messages set aside as damaged", "bad");
	if (fflush(stdout))
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	return EXIT_DONE;
}
