/* octets: a stored message as POP3 sends it (RFC 1939 3): each LF without a
 * CR in front becomes CR LF, a last line without LF gets one, NUL and all
 * else stay; a line that starts with a dot gets another.
 */
#ifndef OCTETS_H
#define OCTETS_H

#include <stddef.h>
#include <stdint.h>

struct octets {
	int begun;		/* in the middle of a line */
	char last;		/* the byte before */
	int body;		/* the empty line has been seen */
	uint64_t lines;		/* of the body, still wanted */
	int stuff;		/* double leading dots */
};
#define OCTETS_ZERO { 0, 0, 0, UINT64_MAX, 1 }

/* Converts s[0..n) to out, which has room for 3 * n bytes; the length.  Stops
 * after o->lines lines of the body, which sets *end to 1.
 */
extern size_t octets_convert(struct octets *o, char const *s, size_t n,
    char *out, int *end);

/* What the end of the file adds: "\r\n" after an unfinished line, or "". */
extern char const *octets_end(struct octets const *o);

/* How many octets fd's file has when sent, stuffed dots not counted.  1, -1. */
extern int octets_count(int fd, uint64_t *out);

#endif
