/* ask: DNS, through a process of dnsq(1) at the other end of a socket, one
 * question at a time, all of them within one deadline.
 */
#ifndef ASK_H
#define ASK_H

#include <stddef.h>
#include <stdint.h>

enum ask_result { ASK_FOUND, ASK_NODATA, ASK_NXDOMAIN, ASK_TROUBLE };

enum {
	ASK_QUESTIONS = 100,	/* more than the rules of SPF, DKIM and DMARC
				 * allow together: then it is trouble */
	ASK_VALUES = 128
};

struct ask {
	int fd;
	uint64_t until;		/* clock_ms; after that, all is trouble */
	unsigned int asked;
	size_t have, used;	/* of buf */
	char buf[65536];	/* longer lines are not dnsq's */
	/* the last answer: what dnsq(1) calls values, texts decoded */
	unsigned int values;
	char *value[ASK_VALUES];
	size_t len[ASK_VALUES];
};

/* type: "a", "aaaa", "mx", "ptr" or "txt". */
extern enum ask_result ask(struct ask *a, char const *type, char const *name);

/* Is it a host name: letters, digits, hyphens, underscores, and two labels at
 * least?
 */
extern int ask_is_domain(char const *s);

#endif
