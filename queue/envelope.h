/* envelope: what a client may say about sender and recipients: "F"
 * reverse-path NUL, then "T" recipient NUL, once at least.  Any byte but NUL
 * may stand in an address, as in qmail: whoever prints one escapes it.
 */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include <stddef.h>

struct envelope {
	char const *s;
	size_t len;
	char const *from;
	size_t from_len;
	unsigned int recipients;
};

/* 0, or an exit code of qmail-queue(8) and *why.  *e then is undefined. */
extern int envelope_check(char const *s, size_t n, struct envelope *e,
    char const **why);

#endif
