/* words: text in headers that stands for other text: encoded words (RFC 2047),
 * percent encoding (RFC 2231), character sets.  All as UTF-8, as a lenient
 * reader would have it.  Output that does not fit is cut.
 */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

/* s in that charset, to out[0..max).  The length.  *odd becomes 1 if the
 * charset is none that we know, or one that mail should not use.
 */
extern size_t words_utf8(char *out, size_t max, char const *charset,
    size_t cn, char const *s, size_t n, int *odd);

/* With every encoded word in it decoded, wherever it stands.  The length; 0
 * also if there is none.
 */
extern size_t words_decode(char *out, size_t max, char const *s, size_t n,
    int *odd);

/* charset'language'text with %XX, of an extended parameter, to UTF-8. */
extern size_t words_extended(char *out, size_t max, char const *s, size_t n,
    int *odd);

extern size_t words_percent(char *out, char const *s, size_t n);
extern size_t words_put(char *out, unsigned long c);	/* one character */
extern int words_valid(char const *s, size_t n);	/* as UTF-8 */

#endif
