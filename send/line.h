/* line: send's log, qmail-send's lines exactly (postern-log(5)).
 *
 * Lines gather in a buffer and go to standard error in few writes, each of
 * whole lines and at most LIMIT_LOGLINE bytes.  A logger that does not read
 * does not stop the mail: the buffer takes LINE_ROOM bytes, then lines are
 * lost, and counted.
 */
#ifndef LINE_H
#define LINE_H

#include <stddef.h>
#include <stdint.h>

enum { LINE_ROOM = 65536 };

extern void line_put(char const *s);
extern void line_number(uint64_t u);
/* Bytes of others, as qmail-send prints them: LF becomes '/', bytes below 33
 * or above 126 and '%' become '_'.
 */
extern void line_text(char const *s, size_t n);
/* Also writes, as line_flush(0), when the buffer is half full. */
extern void line_end(void);
extern void line_errno(int e);		/* ": " and what it means */
/* A line of its own: "warning: ", that, and what it means. */
extern void line_warning(char const *text, int e);

/* Writes what standard error takes without waiting.  At the end of a
 * program wait is 1: then for up to a second.
 */
extern void line_flush(int wait);

/* For tests: what is not written yet. */
extern size_t line_peek(char const **s);

#endif
