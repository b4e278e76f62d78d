/* header: the header of a message as a user's program wrote it: its end, its
 * fields, and what each is to inject.
 */
#ifndef HEADER_H
#define HEADER_H

#include <stddef.h>

/* What a field is.  A RESENT field counts where the message is resent. */
enum {
	FIELD_ADDRESS = 1,	/* addresses: completed */
	FIELD_RECIPIENT = 2,
	FIELD_SHOWN = 4,	/* recipients that everybody sees */
	FIELD_RESENT = 8,
	FIELD_DELETE = 16,
	FIELD_RETURN = 32,	/* Return-Path */
	FIELD_DATE = 64,
	FIELD_ID = 128,
	FIELD_FROM = 256
};

struct field {
	char const *s;		/* the whole of it */
	size_t n;
	size_t name, body;	/* length of the name; offset of the body */
	unsigned int flags;
};

/* Looks at s[*pos..n), *pos at the start of a line, for the end of the
 * header: the first line that is neither a field nor one's continuation.
 *  1  *pos is there
 *  0  not yet: *pos at the start of the last line, which is not whole
 */
extern int header_end(char const *s, size_t n, size_t *pos);

/* The next field of a header s[*pos..n).  1; 0 no more. */
extern int header_next(char const *s, size_t n, size_t *pos,
    struct field *out);

#endif
