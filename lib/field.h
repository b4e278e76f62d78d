/* field: the fields of a message's header (RFC 5322), and whose message it
 * says that it is.
 */
#ifndef FIELD_H
#define FIELD_H

#include <stddef.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

enum { HEAD_MOST = 1048576 };	/* above that nobody takes it anyway */

/* The header of a message that comes in pieces. */
struct head {
	stralloc text;		/* up to its empty line, which is not in it */
	size_t line;		/* where its last line starts */
	int ended;
	int too_long;		/* and so text is not all of it */
};
#define HEAD_ZERO { STRALLOC_ZERO, 0, 0, 0 }

/* Takes what belongs to the header off the beginning of s[0..n): how much that
 * is.  -1: out of memory.
 */
extern ssize_t head_take(struct head *h, char const *s, size_t n);

struct field {
	char const *s;		/* all its lines */
	size_t n;
	size_t name;		/* length of its name */
};

/* The next field of s[0..n), a header without the empty line behind it; start
 * with *pos = 0.  1; 0 at the end; -1 this line is no field.
 */
extern int field_next(char const *s, size_t n, size_t *pos, struct field *f);

/* Is that its name, in either case of letters? */
extern int field_is(struct field const *f, char const *name);

/* The one domain, in lower case, that the one From field names.
 *  1  *domain is it, NUL-terminated
 *  0  no such thing: *why says what there is instead
 * -1  out of memory
 */
extern int field_domain(char const *s, size_t n, stralloc *domain,
    char const **why);

#endif
