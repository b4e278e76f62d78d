/* userlookup DIR DOMAIN N: so many lookups of users u000000 to u099999, each
 * opening the tables as a login and a RCPT do; prints the microseconds that
 * one takes in vpasswd.cdb of DIR, and in the mailbox table of DOMAIN below
 * the current directory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/mailbox.h"
#include "lib/vpasswd.h"

static double
microseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int
main(int argc, char **argv)
{
	struct vpasswd p = VPASSWD_ZERO;
	struct mailbox m = MAILBOX_ZERO;
	long i, n = argc == 4 ? strtol(argv[3], 0, 10) : 0;
	double start, login, box;
	char name[16];

	if (n <= 0)
		return 100;
	start = microseconds();
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "u%06ld", random() % 100000);
		if (vpasswd_find(argv[1], name, 7, &p, 0) != 1)
			return 111;
	}
	login = (microseconds() - start) / n;
	start = microseconds();
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "u%06ld", random() % 100000);
		if (mailbox_find(argv[2], strlen(argv[2]), name, 7, &m) != 1)
			return 111;
	}
	box = (microseconds() - start) / n;
	printf("%.1f %.1f\n", login, box);
	return 0;
}
