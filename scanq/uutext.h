/* uutext: files inside a text: uuencode and begin-base64 (POSIX, uuencode) are
 * decoded, several in one text, with or without an end; yEnc and BinHex are
 * seen.
 */
#ifndef UUTEXT_H
#define UUTEXT_H

#include <stddef.h>

#include "scanq/decode.h"
#include "scanq/inner.h"

enum uutext_state { UUTEXT_SEEK, UUTEXT_BEGUN, UUTEXT_UU, UUTEXT_BASE64 };

enum { UUTEXT_LINE = 1024 };	/* of a longer line this is seen */

struct uutext {
	struct inner const *inner;
	enum uutext_state state;
	int declared;		/* the text is said to be uuencoded */
	unsigned int bad;	/* bad lines in a row */
	size_t have;		/* of a line that is not complete */
	char line[UUTEXT_LINE];
	size_t n;		/* of the begin line's name */
	char name[UUTEXT_LINE];
	struct decode base64;
};

extern void uutext_start(struct uutext *, struct inner const *, int declared);
extern void uutext_feed(struct uutext *, char const *s, size_t n);
extern void uutext_end(struct uutext *);

#endif
