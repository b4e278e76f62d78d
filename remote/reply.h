/* reply: what an SMTP server answers (RFC 5321 4.2).
 *
 * A server is a stranger.  A reply has three digits, then a blank, a hyphen
 * (more lines follow) or nothing, in each line; what is kept of its text is
 * printable ASCII and LF, everything else a question mark.  CR before LF is
 * not asked for.  If lines have different codes, the last one counts.
 */
#ifndef REMOTE_REPLY_H
#define REMOTE_REPLY_H

#include <stddef.h>

#include "lib/io.h"

enum {
	REPLY_TEXT = 4096,	/* kept of one; the rest is read and dropped */
	REPLY_BYTES = 65536,	/* of one, before we hang up */
	REPLY_LINES = 256
};

struct reply {
	unsigned int code;	/* 200 to 599 */
	size_t n;
	char text[REPLY_TEXT];	/* whole lines, with the code, each with LF */
};

/* Reads one, within the deadline of i.
 *  1  *r is a reply
 *  0  the end, before a whole reply had come
 * -1  trouble: EPROTO not a reply, EMSGSIZE too long, ETIMEDOUT, ...
 */
extern int reply_read(io *i, struct reply *r);

/* Line by line, without the code: *s and *n are its text.  *pos starts as 0.
 * 1; 0 no more.
 */
extern int reply_line(struct reply const *r, size_t *pos, char const **s,
    size_t *n);

#endif
