/* data: the bytes between DATA and the reply (RFC 5321 4.1.1.4, 4.5.2).
 *
 * CR LF becomes LF, a dot that was put in front of a line goes, and nothing
 * but CR LF "." CR LF ends the message.  A CR or LF by itself is noted in
 * stray: what another server may have taken for an end of line, or of the
 * message, must not be passed on (SMTP smuggling).  All other bytes, NUL too,
 * are kept as they are.
 *
 * The header is looked through for the lines that count hops.
 */
#ifndef DATA_H
#define DATA_H

#include <stddef.h>
#include <stdint.h>

enum data_state {
	DATA_LINE,	/* behind CR LF, or at the start */
	DATA_TEXT,	/* within a line */
	DATA_CR,	/* behind a CR */
	DATA_DOT,	/* behind a dot that began a line */
	DATA_DOTCR,	/* behind that dot and a CR */
	DATA_END	/* it is over */
};

enum { DATA_NAME = 13 };	/* "delivered-to:" */

struct data {
	enum data_state state;
	char stray;		/* NUL, or the first CR or LF by itself */
	uint64_t size;		/* bytes that came out */
	unsigned int hops;	/* Received and Delivered-To lines */
	int body;		/* the header is over */
	size_t column;		/* in a header line */
	char name[DATA_NAME];	/* how that line begins */
};

extern void data_init(struct data *d);

/* Decodes s[0..n) in place: *len bytes come out, at s.  Returns how many
 * bytes it took: all, or those up to the end of the message, and then state
 * is DATA_END.
 */
extern size_t data_decode(struct data *d, char *s, size_t n, size_t *len);

#endif
