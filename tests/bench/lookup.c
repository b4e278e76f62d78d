/* lookup CDB N: so many lookups of random addresses among rules; prints the
 * nanoseconds that one takes and the private memory of this process in KiB,
 * then the nanoseconds of one that opens the cdb itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/ipaddr.h"
#include "rules/rule.h"

static double
nanoseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void
look_up(struct cdbfile *c)
{
	char ip[IPADDR_FMT];
	struct rule_client who = { ip, 0, 0 };
	static struct rule r;
	long u = random();

	snprintf(ip, sizeof ip, "%ld.%ld.%ld.%ld", 10 + (u >> 16) % 16,
	    u >> 8 & 255, u & 255, u % 251);
	if (rule_find(c, &who, 0, &r) == -1)
		exit(111);
}

static long
private_memory(void)
{
	char line[128];
	long sum = 0, n;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Private_Dirty: %ld", &n) == 1)
			sum += n;
	return sum;
}

int
main(int argc, char **argv)
{
	struct cdbfile c = CDBFILE_ZERO;
	double start;
	long n, i;

	if (argc != 3 || cdbfile_open(&c, argv[1]) != 1)
		return 100;
	n = strtol(argv[2], 0, 10);
	start = nanoseconds();
	for (i = 0; i < n; i++)
		look_up(&c);
	printf("%.0f %ld ", (nanoseconds() - start) / n, private_memory());
	start = nanoseconds();
	for (i = 0; i < n; i++) {
		cdbfile_close(&c);
		if (cdbfile_open(&c, argv[1]) != 1)
			return 111;
		look_up(&c);
	}
	printf("%.0f\n", (nanoseconds() - start) / n);
	return 0;
}
