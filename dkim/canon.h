/* canon: the "relaxed" forms of RFC 6376 3.4.2 and 3.4.4, of a message as the
 * queue keeps it: lines end in LF.  What is made canonical is what remote will
 * send: LF and CR LF are the end of a line, any other CR is a blank, and a
 * last line without an end gets one (remote/wire.h).
 */
#ifndef CANON_H
#define CANON_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* A body goes through in pieces, in constant memory. */
struct canon {
	void (*put)(void *to, char const *s, size_t n);
	void *to;
	uint64_t lines;		/* ends of lines that are held back */
	int blank;		/* white space is held back */
	int cr;			/* a CR is */
	int some;		/* there was a byte that counts */
	size_t used;
	char out[1024];
};

extern void canon_begin(struct canon *c,
    void (*put)(void *to, char const *s, size_t n), void *to);
extern void canon_body(struct canon *c, char const *s, size_t n);
extern void canon_end(struct canon *c);

/* Appends the form of one header field: s[0..n), with its name, a colon
 * somewhere, and all its lines.  CR LF behind it.  1, -1 out of memory.
 */
extern int canon_field(stralloc *out, char const *s, size_t n);

#endif
