/* wire: the message as SMTP carries it (RFC 5321 2.3.8, 4.5.2).
 *
 *	LF, and CR LF    go out as CR LF
 *	any other CR     goes out as a blank: never a CR or LF alone, so that
 *	                 no server can see a line, or an end, where we see none
 *	"." in front     is doubled
 *	a last line      without LF gets one
 *
 * Everything else goes out as it is: bytes above 127, NUL, lines of any
 * length.
 */
#ifndef REMOTE_WIRE_H
#define REMOTE_WIRE_H

#include <stddef.h>

struct wire {
	int inside;		/* a line has begun */
	int cr;			/* a CR waits for what follows it */
};
#define WIRE_ZERO { 0, 0 }

/* s[0..n) as it goes out, at most 2 * n + 1 bytes; how many. */
extern size_t wire_put(struct wire *w, char const *s, size_t n, char *out);

/* The end of the message, and the line "." behind it: at most WIRE_END. */
enum { WIRE_END = 6 };
extern size_t wire_end(struct wire *w, char *out);

#endif
